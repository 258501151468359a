"""Progress reports: counts of finished, skipped and doubtful items."""

from utils.report import Report


def test_the_summary_counts_everything(capsys):
    report = Report(3, "face", "reconstructed", quiet=True)
    report.step(2)
    report.doubt("a\nb")
    report.skip("c", "c.jpg: no face found")
    report.close()
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "doubtful: a\\nb: little of the face is seen surely; look at its picture",
        "skipped: c.jpg: no face found",
    ]
    summary = report.summary()
    assert summary.startswith("2 faces reconstructed, 1 of them doubtful, 1 skipped in ")


def test_nothing_doubtful_is_not_mentioned():
    report = Report(1, "face", "reconstructed", quiet=True)
    report.step()
    assert report.summary().startswith("1 face reconstructed in ")

"""Compilation of the native code: when it happens, and its error messages."""

import glob
import os
import shutil

import pytest

from mesh_renderer import build
from mesh_renderer.nvcc import architecture_flags, find_nvcc
from utils.errors import InputError
from utils.tf_compat import tf


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Build from a copy of the sources into an empty folder."""
    shutil.copytree(build.SOURCE_DIR, str(tmp_path / "csrc"))
    monkeypatch.setattr(build, "SOURCE_DIR", str(tmp_path / "csrc"))
    monkeypatch.setattr(build, "LIBRARY_DIR", str(tmp_path / "lib"))
    return tmp_path


def append(path, text):
    with open(str(path), "a") as file:
        file.write(text)


def test_library_name_contains_the_tensorflow_version():
    name = os.path.basename(build.build_operation_library())
    assert name.startswith("rasterize_triangles_tf{}_".format(tf.VERSION)) and name.endswith(".so")


def test_an_up_to_date_library_is_not_built_again(monkeypatch):
    paths = build.build_operation_library(), build.build_core_library()
    monkeypatch.setattr(build, "_build", lambda *_: pytest.fail("compiled without need"))
    assert (build.build_operation_library(), build.build_core_library()) == paths


@pytest.mark.slow
def test_changed_sources_are_rebuilt_and_replace_the_old_library(elsewhere):
    first = build.build_core_library()
    assert build.build_core_library() == first
    append(elsewhere / "csrc" / "rasterize" / "pixel_grid.h", "// changed\n")
    second = build.build_core_library()
    assert second != first
    assert glob.glob(str(elsewhere / "lib" / "*")) == [second]


def test_another_processor_needs_another_library(elsewhere, monkeypatch):
    before = build._library_path("stem", ())
    monkeypatch.setattr(build, "_processor", lambda: "x86_64-none")
    assert build._library_path("stem", ()) != before
    assert build._library_path("stem", ("-DFLAG",)) != build._library_path("stem", ())


@pytest.mark.parametrize("compiler", ["no-such-compiler", "/no/such/place/g++ -O3"])
def test_missing_compiler_is_one_sentence(elsewhere, monkeypatch, compiler):
    monkeypatch.setenv("CXX", compiler)
    with pytest.raises(
        InputError, match="no C\\+\\+ compiler '{}'".format(compiler.replace("+", "\\+"))
    ) as error:
        build.build_core_library()
    assert "\n" not in str(error.value) and "apt install g++" in str(error.value)
    assert not glob.glob(str(elsewhere / "lib" / "*.so"))


def test_a_compiler_error_is_one_sentence_and_a_log(elsewhere):
    append(elsewhere / "csrc" / "rasterize" / "rasterize_triangles.cc", "this is not C++\n")
    with pytest.raises(InputError, match="did not compile") as error:
        build.build_core_library()
    assert "\n" not in str(error.value)
    with open(str(elsewhere / "lib" / "build.log")) as log:
        assert "this is not C++" in log.read()
    assert not glob.glob(str(elsewhere / "lib" / "*.so"))


def forbid_compiling(monkeypatch):
    monkeypatch.setattr(build, "_build", lambda *_: pytest.fail("compiled without need"))
    monkeypatch.setattr(build, "_build_cuda", lambda *_: pytest.fail("compiled without need"))


def printed_paths(capsys):
    return [os.path.abspath(path) for path in capsys.readouterr().out.split()]


def test_command_prints_the_paths_of_the_libraries(capsys, monkeypatch):
    expected = [build.build_core_library(), build.build_operation_library()]
    forbid_compiling(monkeypatch)
    monkeypatch.setattr(build, "has_cuda_driver", lambda: False)
    build.main([])
    assert printed_paths(capsys) == expected


@pytest.mark.slow
def test_gpu_libraries_are_built_with_a_driver_or_where_they_are_wanted(capsys, monkeypatch):
    expected = [
        build.build_core_library(),
        build.build_operation_library(),
        build.build_device_count_library(),
        build.build_gpu_operation_library(),
    ]
    forbid_compiling(monkeypatch)
    monkeypatch.setattr(build, "has_cuda_driver", lambda: False)
    build.main(["--gpu"])
    assert printed_paths(capsys) == [path for path in expected if path is not None]
    monkeypatch.setattr(build, "has_cuda_driver", lambda: True)
    build.main([])
    assert printed_paths(capsys) == [path for path in expected if path is not None]


def test_without_a_cuda_compiler_no_gpu_library_is_built(elsewhere, monkeypatch):
    monkeypatch.setattr(build, "find_nvcc", lambda: None)
    assert (
        build.build_device_count_library() is None and build.build_gpu_operation_library() is None
    )
    assert not glob.glob(str(elsewhere / "lib" / "*"))


def test_a_failing_cuda_compiler_does_not_prevent_the_use_of_the_cpu(
    elsewhere, capsys, monkeypatch
):
    monkeypatch.setattr(build, "find_nvcc", lambda: shutil.which("false"))
    monkeypatch.setattr(build, "_build", lambda path, *_: None)
    assert build.main(["--gpu"]) is None
    printed = capsys.readouterr()
    assert len(printed.out.split()) == 2
    assert (
        printed.err.count("\n") == 1
        and "did not compile" in printed.err
        and "The GPU will not be used." in printed.err
    )


def test_nvcc_is_found_in_the_folder_of_the_variable(tmp_path, monkeypatch):
    nvcc = tmp_path / "bin" / "nvcc"
    nvcc.parent.mkdir()
    nvcc.write_text("#!/bin/sh\necho compute_60 compute_75 compute_80 compute_86 compute_121\n")
    nvcc.chmod(0o755)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert find_nvcc() == str(nvcc)
    assert architecture_flags(str(nvcc)) == [
        "-gencode",
        "arch=compute_75,code=sm_75",
        "-gencode",
        "arch=compute_80,code=sm_80",
        "-gencode",
        "arch=compute_80,code=compute_80",
    ]

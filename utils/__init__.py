"""What every script shares: data folders, errors in one sentence, atomic files, photos, progress."""

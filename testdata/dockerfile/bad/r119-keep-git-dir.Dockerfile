FROM a
ADD --keep-git-dir x /d

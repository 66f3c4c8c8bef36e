FROM a
USER --system x

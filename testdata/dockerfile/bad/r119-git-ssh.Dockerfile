FROM a
ADD git@github.com:a/b.git /d

FROM a
ADD https://github.com/a/b.git#v1:sub /d

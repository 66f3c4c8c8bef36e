FROM a AS x
ARG V=1
FROM python:$V

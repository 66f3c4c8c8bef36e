FROM a
COPY src/* ?.txt [a-c]* /d/

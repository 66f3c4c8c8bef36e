FROM a
COPY ["a" "b"]

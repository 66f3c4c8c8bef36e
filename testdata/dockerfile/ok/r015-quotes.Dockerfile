FROM a
COPY "bin/publish" 'x' ./

FROM a
EXPOSE 80 # http

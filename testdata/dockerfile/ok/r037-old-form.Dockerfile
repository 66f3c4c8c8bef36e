FROM a
ENV key some  value

FROM a
RUN [ -d x ] || y

FROM a
RUN x 3<<IN \
  && y <<OUT
1
IN
2
OUT

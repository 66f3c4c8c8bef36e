FROM a
ONBUILD RUN echo $X \
  && y

FROM a
ENV A="x \
   y"

# unknown=x
# escape=`
FROM a
RUN x \
  y

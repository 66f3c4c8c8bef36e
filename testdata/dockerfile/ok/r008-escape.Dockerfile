# escape=`
FROM a
COPY x `
  C:\y
RUN dir `
  z

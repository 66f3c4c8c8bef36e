ARG I="a:b"
ARG J=''
FROM $I$J

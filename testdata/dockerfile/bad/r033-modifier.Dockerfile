FROM a
ENV B=${A:=1}

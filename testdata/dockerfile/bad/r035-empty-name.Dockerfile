FROM a
ENV B=${}

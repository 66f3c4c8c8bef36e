FROM a
ENTRYPOINT ["/usr/bin/python${V}", "-m", "x"]

FROM a
ADD --checksum=sha256:abc https://h.example/x y

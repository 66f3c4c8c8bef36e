FROM a AS x
RUN no
FROM x
RUN yes
# args: image:x=r.example/y:1

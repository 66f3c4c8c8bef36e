FROM localhost/busybox
COPY tree /tree
RUN cd /tree && rm a.txt && mkdir a.txt && touch a.txt/f && rm -r sub && echo file > sub && rm b.txt && ln -s sub b.txt
RUN cd /tree && rm -r a.txt && ln -s sub a.txt && rm sub && mkdir sub && rm b.txt && mkfifo b.txt
RUN cd /tree && rm a.txt b.txt && echo file again > a.txt && rmdir sub && ln -s /etc sub

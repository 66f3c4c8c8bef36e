FROM localhost/busybox
RUN seq 1 200000 > /numbers && cp /numbers /copy && truncate -s 1000000 /holes && echo end >> /holes
RUN echo more >> /numbers && sed -i 1d /copy && truncate -s 100 /holes
RUN for d in a b c d e; do mkdir -p /many/$d && for i in $(seq 1 200); do echo $i > /many/$d/$i; done; done && rm /many/?/1?? && chmod -R g+w /many

FROM localhost/busybox
RUN mkdir /home/app && chown app:app /home/app && mkdir -m 1777 /shared && mkdir /group && chown :staff /group && chmod 2777 /group
USER app
WORKDIR /home/app
RUN id -u > id; id -g >> id; id -G >> id; echo "$HOME" >> id; touch /shared/mine /group/ours
RUN touch /etc/not-mine 2>/dev/null || echo refused > refused
USER root
RUN id -u > /root-id; chown app /shared/mine && chmod 600 /shared/mine
USER app:staff
RUN id -g > gid; touch "$HOME/staff"

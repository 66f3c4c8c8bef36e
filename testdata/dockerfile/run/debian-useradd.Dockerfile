FROM localhost/debian
ARG SOURCE_DATE_EPOCH=315532800
RUN groupadd -g 2000 team && useradd -m -u 1500 -g team -s /bin/bash app && useradd --system daemon2 && usermod -aG staff,team daemon2
RUN chown -R app:team /opt && su app -c 'id -un > ~/id; umask > ~/umask' && passwd -q -l app && chage -M 90 app
USER app
WORKDIR /home/app
RUN id -Gn > groups && test -s .bashrc && mkdir -p .cache/x && ln -s .cache c
USER root
RUN userdel daemon2 && gpasswd -a app staff

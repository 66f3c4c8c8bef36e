FROM a
ENV A='it\'s'

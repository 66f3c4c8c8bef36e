FROM a
COPY <<-E /x
		a
	 b
	E

# Writes OUTPUT, a C++ file with the function saddle::NAME, which returns the text of FILE.
file(READ ${FILE} text)
file(WRITE ${OUTPUT} "#include \"launch/jobs/slurm.h\"\n\nnamespace saddle {\n\nstd::string ${NAME}() {\n  return R\"embedded(${text})embedded\";\n}\n\n}  // namespace saddle\n")

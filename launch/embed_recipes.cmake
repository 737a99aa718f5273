# Writes OUTPUT, a C++ file with the text of each of RECIPES; its first comment line is what `saddle list recipes` prints.
set(text "#include \"launch/run/train_options.h\"\n\nnamespace saddle {\n\nconst std::vector<Recipe>& recipes() {\n  static const std::vector<Recipe> all = {\n")
foreach(path ${RECIPES})
  get_filename_component(name ${path} NAME_WLE)  # "a.b.toml" is not another "a"
  file(READ ${path} recipe)
  string(REGEX MATCH "^# ([^\n]*)" about "${recipe}")
  string(APPEND text "      {\"${name}\", R\"recipe(${CMAKE_MATCH_1})recipe\", R\"recipe(${recipe})recipe\"},\n")
endforeach()
string(APPEND text "  };\n  return all;\n}\n\n}  // namespace saddle\n")
file(WRITE ${OUTPUT} "${text}")

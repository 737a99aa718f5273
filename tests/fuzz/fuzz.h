// What the targets share. Whatever the bytes, a reader may only throw an Error of kind data or, where a flag
// would help, usage: any other exception, and Exit::io or Exit::bug, is a finding, as is all that the
// sanitizers see.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "data/pack/importers.h"
#include "dist/error.h"

namespace saddle::fuzz {

inline std::string_view view(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A file of this process in TMPDIR, which run.sh puts in memory.
inline std::string put(const char* name, std::string_view bytes) {
  static const std::string folder = [] {
    std::string made = (std::filesystem::temp_directory_path() / "saddle-fuzz-XXXXXX").string();
    if (!mkdtemp(made.data())) std::abort();
    return made;
  }();
  std::string path = folder + "/" + name;
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (!file || std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size()) std::abort();
  std::fclose(file);
  return path;
}

// SADDLE_FUZZ_SAY=1 prints what the readers say: do the seeds get through, is a finding's message the right
// one?
template <class Work>
void survive(Work work) {
  static const bool say = std::getenv("SADDLE_FUZZ_SAY") != nullptr;
  try {
    work();
  } catch (const Error& error) {
    if (say) std::fprintf(stderr, "%s\n", error.what());
    if (error.kind == Exit::data || error.kind == Exit::usage) return;
    std::fprintf(stderr, "an error of kind %d: %s\n", int(error.kind), error.what());
    std::abort();
  }
}

inline void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "expected %s\n", what);
  std::abort();
}

inline void check_sample(const Batch& sample, const Schema& schema) {
  for (const Field& field : schema.fields) {
    const torch::Tensor& value = sample[field.name];
    check(value.scalar_type() == field.dtype, "the schema's dtype");
    check(value.dim() == int64_t(field.shape.size()) + 1 && value.size(0) == 1, "a batch of one");
    for (size_t axis = 0; axis < field.shape.size(); ++axis) {
      const int64_t extent = value.size(int64_t(axis) + 1);
      check(field.variable && axis == 0 ? extent <= field.shape[0] : extent == field.shape[axis],
            "the schema's shape");
    }
  }
}

// What packing does, but for the shards: the first samples, each of which may be damaged.
inline void import(const Importer& importer, const PackRequest& request) {
  survive([&] {
    if (!importer.accepts(request)) return;
    const Source source = importer.open(request);
    check(schema_from_json(to_json(source.schema)) == source.schema, "a schema that can be read back");
    static_cast<void>(source.provenance.dump());
    for (int64_t i = 0; i < std::min<int64_t>(source.count, 64); ++i)
      survive([&] { check_sample(source.sample(i), source.schema); });
  });
}

}  // namespace saddle::fuzz

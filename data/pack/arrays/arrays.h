// Named arrays with a common first extent become the fields of a data set: what NumPy, HDF5 and IDX files
// share. Importers say where the items are, this says what they mean.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/pack/source.h"

namespace saddle {

// How one number is stored.
struct Element {
  char kind = 0;  // as in NumPy: u, i, f, b (a bool of one byte)
  int64_t bytes = 0;
  bool swapped = false;  // big endian
};

// What NumPy writes, "<f4" or "|u1"; nothing for other types than numbers of 1, 2, 4 or 8 bytes.
std::optional<Element> element_of(std::string_view descr);

struct Array {
  std::string name;   // in its file
  std::string where;  // file and name, for errors
  Element element;
  std::vector<int64_t> shape;  // [N, ...], no extent zero
  // Items [first, first + count) in C order as they are stored. `serial`: by one thread, best forwards.
  std::function<void(int64_t first, int64_t count, char* to)> read = {};
  bool serial = false;
  std::string problem = {};  // why it cannot be read; empty: it can
  // Of labels: the classes of the numbers 0, 1, ..., which texts and enumerations name; or only how many
  // there are. Empty, 0: what the numbers show.
  std::vector<std::string> class_names = {};
  int64_t classes = 0;
};

bool is_empty(const std::vector<int64_t>& shape);  // an extent is zero

// Bytes of `shape`, whose extents must be positive; Exit::data if they are not, or are more than `most`.
int64_t checked_bytes(const std::vector<int64_t>& shape, int64_t element_bytes, int64_t most,
                      const std::string& where);
// Most bytes that deflate makes of so many.
int64_t most_inflated(int64_t bytes);

// Every array with the first extent of the main one is a field, which comes first: pictures become `image`
// [C, H, W], the only numbers [N, D] `x`; integers named as labels `label`, maps of them `mask`; others keep
// their names. Arrays of a part (train_images, test/x) count if it is request.split. `notes`, of what the
// caller found, come before those of what was made of the arrays. Provenance is left to the caller.
Source source_of(std::vector<Array> arrays, const PackRequest& request, std::vector<std::string> notes = {});

// The note of an array that is no field: "left out: NAME: WHY".
std::string left_out_note(const std::string& name, const std::string& why);

// {"source", "files", "bytes", "newest"}: changes when the content does, without reading it.
nlohmann::json provenance_of(const std::string& source, const std::vector<std::filesystem::path>& files);

}  // namespace saddle

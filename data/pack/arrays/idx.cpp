// IDX, the format of MNIST and its kin (yann.lecun.com/exdb/mnist): two zero bytes, a type, the number of
// extents, the extents as big-endian 32-bit numbers, then big-endian numbers. zlib reads it compressed or
// not.
#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "data/pack/arrays/arrays.h"
#include "data/pack/importers.h"
#include "dist/error.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

Element element_of_code(int code, const std::string& path) {
  switch (code) {
    case 0x08:
      return {.kind = 'u', .bytes = 1};
    case 0x09:
      return {.kind = 'i', .bytes = 1};
    case 0x0B:
      return {.kind = 'i', .bytes = 2, .swapped = true};
    case 0x0C:
      return {.kind = 'i', .bytes = 4, .swapped = true};
    case 0x0D:
      return {.kind = 'f', .bytes = 4, .swapped = true};
    case 0x0E:
      return {.kind = 'f', .bytes = 8, .swapped = true};
    default:
      fail(Exit::data, "{}: expected an IDX file of numbers (types 8, 9, b to e), found type {:x}", path,
           code);
  }
}

class IdxFile {
 public:
  explicit IdxFile(const std::string& path) : path_(path), file_(gzopen(path.c_str(), "rb")) {
    require(file_ != nullptr, Exit::data, "{}: cannot open", path);
    gzbuffer(file_.get(), 1 << 18);
    uint8_t magic[4];
    read(magic, 4);
    require(magic[0] == 0 && magic[1] == 0 && magic[3] > 0, Exit::data,
            "{}: expected an IDX file, found one that begins with {:02x}{:02x}{:02x}{:02x}", path, magic[0],
            magic[1], magic[2], magic[3]);
    element_ = element_of_code(magic[2], path);
    for (int i = 0; i < magic[3]; ++i) extents_.push_back(extent());
    const int64_t most = most_inflated(int64_t(fs::file_size(path)));
    item_ = checked_bytes(extents_, element_.bytes, most, path) / extents_[0];
  }

  const Element& element() const { return element_; }
  const std::vector<int64_t>& extents() const { return extents_; }

  // Items along the first extent; forwards only, or it takes long.
  void items(int64_t first, int64_t count, char* to) {
    require(gzseek(file_.get(), z_off_t(begin() + first * item_), SEEK_SET) >= 0, Exit::data,
            "{}: damaged at item {}: {}", path_, first, reason());
    read(reinterpret_cast<uint8_t*>(to), count * item_);
    if (first + count == extents_[0]) finish();
  }

 private:
  struct Close {
    void operator()(gzFile_s* file) const { gzclose(file); }
  };

  int64_t begin() const { return 4 + 4 * int64_t(extents_.size()); }

  int64_t extent() {
    uint8_t b[4];
    read(b, 4);
    return int64_t{b[0]} << 24 | b[1] << 16 | b[2] << 8 | b[3];
  }

  void read(uint8_t* to, int64_t bytes) {
    constexpr int64_t kPiece = 1 << 30;  // gzread counts in 32 bits
    for (int64_t piece; bytes > 0; to += piece, bytes -= piece) {
      piece = std::min(kPiece, bytes);
      const int64_t got = gzread(file_.get(), to, unsigned(piece));
      require(got == piece, Exit::data, "{}: damaged or cut off: expected {} more bytes, found {} ({})",
              path_, bytes, std::max<int64_t>(0, got), reason());
    }
  }

  void finish() {  // the checksum of a gz file is looked at only at its end
    uint8_t more;
    const int got = gzread(file_.get(), &more, 1);
    require(got == 0, Exit::data, "{}: {}", path_, got > 0 ? "longer than its header says" : reason());
  }

  std::string reason() const {
    int code = 0;
    const std::string text = gzerror(file_.get(), &code);
    return code == Z_OK || text.empty() ? "it ends here" : text;
  }

  std::string path_;
  std::unique_ptr<gzFile_s, Close> file_;
  Element element_;
  std::vector<int64_t> extents_;
  int64_t item_ = 0;  // bytes
};

bool named_idx(const fs::path& path) {
  return path.filename().string().find("idx") != std::string::npos;
}

fs::path images_in(const fs::path& folder, const std::string& split) {
  const std::string prefix = split == "test" ? "t10k" : split;
  for (const char* tail : {"-images-idx3-ubyte.gz", "-images-idx3-ubyte", "-images.idx3-ubyte"})
    if (fs::is_regular_file(folder / (prefix + tail))) return folder / (prefix + tail);
  return "";
}

// The images file that a request means, or nothing.
fs::path images_of(const PackRequest& request) {
  const fs::path source(request.source);
  if (fs::is_regular_file(source)) return named_idx(source) || request.as == "idx" ? source : "";
  return images_in(source, request.split);
}

[[noreturn]] void fail_without_images(const PackRequest& request) {
  for (const char* other : {"train", "test"})
    require(images_in(request.source, other).empty(), Exit::data,
            "{}: has no IDX images of the part {}, only of {}; pass --split {}", request.source,
            request.split, other, other);
  fail(Exit::data, "{}: expected {{train,t10k}}-images-idx3-ubyte[.gz] in it, found none", request.source);
}

Why accepts(const PackRequest& request) {
  if (fs::is_regular_file(request.source) && named_idx(request.source)) return "its name holds idx";
  for (const char* split : {"train", "test"})
    if (fs::is_directory(request.source) && !images_in(request.source, split).empty())
      return "it holds IDX files";
  return {};
}

fs::path labels_beside(const fs::path& images) {
  std::string name = images.filename().string();
  for (const auto& [from, to] : {std::pair{"images", "labels"}, std::pair{"idx3", "idx1"}})
    if (const size_t at = name.find(from); at != std::string::npos)
      name.replace(at, std::string(from).size(), to);
  const fs::path labels = images.parent_path() / name;
  return labels != images && fs::is_regular_file(labels) ? labels : "";
}

Array array_of(const fs::path& path, const std::string& name) {
  const auto file = std::make_shared<IdxFile>(path.string());
  return {.name = name,
          .where = path.string(),
          .element = file->element(),
          .shape = file->extents(),
          .read = [file](int64_t first, int64_t count, char* to) { file->items(first, count, to); },
          .serial = true};
}

// What Fashion-MNIST's files do not say.
void name_fashion(Field& label, const fs::path& path) {
  if (path.string().find("fashion") == std::string::npos || label.classes != 10) return;
  label.class_names = {"t-shirt/top", "trouser", "pullover", "dress", "coat",
                       "sandal",      "shirt",   "sneaker",  "bag",   "ankle boot"};
}

Source open_idx(const PackRequest& request) {
  const fs::path path = images_of(request);
  if (path.empty()) fail_without_images(request);
  const fs::path labels = labels_beside(path);
  std::vector<fs::path> files{path};
  std::vector<Array> arrays{array_of(path, "x")};
  if (!labels.empty()) arrays.push_back(array_of(labels, "label")), files.push_back(labels);
  PackRequest rest = request;
  if (fs::is_directory(request.source)) rest.given.erase("split");  // it is heeded in images_of
  Source source = source_of(std::move(arrays), rest);
  for (Field& field : source.schema.fields)
    if (field.name == "label") name_fashion(field, fs::absolute(path));
  source.provenance = provenance_of(path.string(), files);
  return source;
}

}  // namespace

const Importer kIdx{
    .name = "idx",
    .takes = "an IDX images file, or a folder with {train,t10k}-images-idx3-ubyte[.gz] (MNIST and kin)",
    .flags = "axes size channels bits filter crop background range split classes",
    .accepts = accepts,
    .open = open_idx};

}  // namespace saddle

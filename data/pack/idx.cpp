// IDX, the format of MNIST and its kin (yann.lecun.com/exdb/mnist): two zero bytes, a type, the number of
// extents, the extents as big-endian 32-bit numbers, then bytes. zlib reads it compressed or not.
#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "data/pack/importers.h"
#include "dist/error.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

class IdxFile {
 public:
  explicit IdxFile(const std::string& path) : path_(path), file_(gzopen(path.c_str(), "rb")) {
    require(file_ != nullptr, Exit::data, "{}: cannot open", path);
    gzbuffer(file_.get(), 1 << 18);
    uint8_t magic[4];
    read(magic, 4);
    require(magic[0] == 0 && magic[1] == 0 && magic[2] == 8 && magic[3] > 0, Exit::data,
            "{}: expected an IDX file of bytes, found one that begins with {:02x}{:02x}{:02x}{:02x}", path,
            magic[0], magic[1], magic[2], magic[3]);
    for (int i = 0; i < magic[3]; ++i) extents_.push_back(extent());
  }

  const std::vector<int64_t>& extents() const { return extents_; }

  // Item i along the first extent; forwards only.
  void item(int64_t i, uint8_t* to) {
    const int64_t bytes = c10::multiply_integers(extents_.begin() + 1, extents_.end());
    require(gzseek(file_.get(), z_off_t(begin() + i * bytes), SEEK_SET) >= 0, Exit::data,
            "{}: damaged at item {}: {}", path_, i, reason());
    read(to, bytes);
    if (i + 1 == extents_[0]) finish();
  }

 private:
  struct Close {
    void operator()(gzFile_s* file) const { gzclose(file); }
  };

  int64_t begin() const { return 4 + 4 * int64_t(extents_.size()); }

  int64_t extent() {
    uint8_t b[4];
    read(b, 4);
    const int64_t value = int64_t{b[0]} << 24 | b[1] << 16 | b[2] << 8 | b[3];
    require(value > 0, Exit::data, "{}: one of its extents is zero", path_);
    return value;
  }

  void read(uint8_t* to, int64_t bytes) {
    const int64_t got = gzread(file_.get(), to, unsigned(bytes));
    require(got == bytes, Exit::data, "{}: damaged or cut off: expected {} more bytes, found {} ({})", path_,
            bytes, got, reason());
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
  std::vector<int64_t> extents_;
};

// The images file that a request means, or nothing.
fs::path images_of(const PackRequest& request) {
  const fs::path source(request.source);
  if (fs::is_regular_file(source))
    return source.filename().string().find("idx") == std::string::npos ? "" : source;
  const std::string prefix = request.split == "test" ? "t10k" : request.split;
  for (const char* tail : {"-images-idx3-ubyte.gz", "-images-idx3-ubyte", "-images.idx3-ubyte"})
    if (fs::is_regular_file(source / (prefix + tail))) return source / (prefix + tail);
  return "";
}

fs::path labels_beside(const fs::path& images) {
  std::string name = images.filename().string();
  for (const auto& [from, to] : {std::pair{"images", "labels"}, std::pair{"idx3", "idx1"}})
    if (const size_t at = name.find(from); at != std::string::npos)
      name.replace(at, std::string(from).size(), to);
  const fs::path labels = images.parent_path() / name;
  return labels != images && fs::is_regular_file(labels) ? labels : "";
}

std::vector<uint8_t> read_labels(const fs::path& path, int64_t count) {
  IdxFile file(path);
  require(file.extents() == std::vector<int64_t>{count}, Exit::data,
          "{}: expected {} labels, found extents [{}]", path.string(), count,
          fmt::join(file.extents(), ", "));
  std::vector<uint8_t> labels(count);
  for (int64_t i = 0; i < count; ++i) file.item(i, &labels[i]);
  return labels;
}

Field labels_of(const fs::path& path, const std::vector<uint8_t>& labels) {
  const int64_t classes = int64_t{*std::max_element(labels.begin(), labels.end())} + 1;
  if (path.string().find("fashion") == std::string::npos || classes != 10) return label_field(classes, {});
  return label_field(classes, {"t-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt",
                               "sneaker", "bag", "ankle boot"});
}

struct Idx {
  IdxFile images;
  std::vector<uint8_t> labels;
  int64_t channels;
  ImageSize size;

  Batch sample(int64_t i) {
    torch::Tensor raw = torch::empty({1, images.extents()[1], images.extents()[2]}, torch::kByte);
    images.item(i, raw.data_ptr<uint8_t>());
    Batch out{{"image", fit(raw, {.channels = channels, .size = size, .filter = "bilinear", .crop = "center"})
                            .unsqueeze(0)}};
    if (!labels.empty()) out.set("label", torch::tensor({int64_t{labels[i]}}));
    return out;
  }
};

Source open_idx(const PackRequest& request) {
  const fs::path path = images_of(request), labels = labels_beside(path);
  auto idx = std::make_shared<Idx>(Idx{IdxFile(path), {}, request.channels ? request.channels : 1, {}});
  const auto& extents = idx->images.extents();
  require(extents.size() == 3, Exit::data, "{}: expected images [N, H, W], found [{}]", path.string(),
          fmt::join(extents, ", "));
  idx->size = request.size.value_or(ImageSize{extents[1], extents[2]});
  Source source{.count = extents[0], .sample = [idx](int64_t i) { return idx->sample(i); }, .serial = true};
  source.schema.fields.push_back(image_field("image", idx->channels, idx->size));
  if (!labels.empty()) {
    idx->labels = read_labels(labels, source.count);
    source.schema.fields.push_back(labels_of(fs::absolute(path), idx->labels));
  }
  source.provenance = {{"source", fs::absolute(path).lexically_normal().string()},
                       {"bytes", fs::file_size(path)}};
  return source;
}

}  // namespace

const Importer kIdx{
    .name = "idx",
    .takes = "an IDX images file, or a folder with {train,t10k}-images-idx3-ubyte[.gz] (MNIST and kin)",
    .flags = "size channels split",
    .accepts = [](const PackRequest& request) { return !images_of(request).empty(); },
    .open = open_idx};

}  // namespace saddle

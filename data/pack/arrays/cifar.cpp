// CIFAR-10 and CIFAR-100 (Krizhevsky 2009) as their page offers them: pickled or binary batches of pictures
// [3, 32, 32], in a .tar.gz or unpacked. One batch is held in memory.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <set>

#include "data/pack/arrays/arrays.h"
#include "data/pack/arrays/pickle.h"
#include "data/pack/files/room.h"
#include "data/pack/files/tar.h"
#include "data/pack/importers.h"
#include "dist/error.h"
#include "dist/file.h"
#include "dist/utf8.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostFiles = 10'000;  // CIFAR-10 has eight

// --- The files of a folder, or of an archive whatever their folder in it ---

class Store {
 public:
  Store(const fs::path& path, int64_t most) : path_(path), most_(most) {
    if (fs::is_directory(path)) {
      for (Walk::File& file : walk(path.string(), /*deep=*/false).files) names_.insert(std::move(file.name));
    } else {
      Tar tar(path.string());
      while (const auto entry = tar.next()) {
        names_.insert(fs::path(entry->name).filename().string());
        require(names_.size() <= kMostFiles, Exit::data,
                "{}: expected a few batches, found more than {} files", path.string(), kMostFiles);
      }
    }
  }

  const std::set<std::string>& names() const { return names_; }
  bool has(const std::string& name) const { return names_.count(name) > 0; }
  std::string where(const std::string& name) const {
    return fs::is_directory(path_) ? (path_ / name).string() : path_.string() + ": " + to_utf8(name);
  }

  std::string read(const std::string& name) {
    if (!fs::is_directory(path_)) return extract(name);
    const fs::path file = path_ / name;
    require_room(file.string(), "a batch", double(fs::file_size(file)), most_);
    return read_file(file.string());
  }

  // The files that are read, for the provenance.
  std::vector<fs::path> files(const std::vector<std::string>& batches) const {
    if (!fs::is_directory(path_)) return {path_};
    std::vector<fs::path> out;
    for (const std::string& name : batches) out.push_back(path_ / name);
    return out;
  }

 private:
  // Onwards from where the archive is, else from its beginning.
  std::string extract(const std::string& name) {
    for (int turn = 0; turn < 2; ++turn) {
      if (!tar_) tar_ = std::make_unique<Tar>(path_.string());
      while (const auto entry = tar_->next())
        if (fs::path(entry->name).filename() == name) return tar_->read(most_);
      tar_.reset();
    }
    fail(Exit::data, "{}: {} is gone", path_.string(), name);
  }

  fs::path path_;
  int64_t most_;  // bytes of a file
  std::set<std::string> names_;
  std::unique_ptr<Tar> tar_;
};

// --- The two layouts and their two encodings ---

struct LabelKind {
  const char* field;
  const char* key;    // of a pickled batch
  const char* names;  // of its class names in the pickled meta file
  const char* text;   // file of class names beside binary batches
};

const std::vector<LabelKind> kTen{{"label", "labels", "label_names", "batches.meta.txt"}};
const std::vector<LabelKind> kHundred{
    {"label", "fine_labels", "fine_label_names", "fine_label_names.txt"},
    {"coarse_label", "coarse_labels", "coarse_label_names", "coarse_label_names.txt"}};

struct Layout {
  const std::vector<LabelKind>* labels;
  bool binary;
  const char *train, *test, *meta;  // `train` is the beginning of the names
};

const std::vector<Layout> kLayouts{{&kTen, false, "data_batch_", "test_batch", "batches.meta"},
                                   {&kTen, true, "data_batch_", "test_batch.bin", ""},
                                   {&kHundred, false, "train", "test", "meta"},
                                   {&kHundred, true, "train.bin", "test.bin", ""}};

std::vector<std::string> batches_of(const Store& store, const Layout& layout, const std::string& split) {
  if (split == "test")
    return store.has(layout.test) ? std::vector<std::string>{layout.test} : std::vector<std::string>{};
  std::vector<std::string> out;
  for (const std::string& name : store.names()) {
    const bool whole = layout.labels == &kHundred;
    if ((whole ? name == layout.train : name.starts_with(layout.train)) &&
        name.ends_with(".bin") == layout.binary)
      out.push_back(name);
  }
  return out;
}

// Pictures [N, 3, side, side] of a batch and its labels by field.
struct Loaded {
  int64_t count = 0, side = 0;
  std::string bytes = {};                     // of a binary batch
  std::unique_ptr<const Pickle> pickle = {};  // or a pickled one
  std::string_view pictures = {};
  int64_t first = 0, step = 0;  // where in them the first picture is, and from one to the next
  std::vector<std::vector<int64_t>> labels = {};
};

Loaded read_binary(std::string bytes, const std::string& where, size_t label_bytes) {
  constexpr size_t kSide = 32, kPicture = 3 * kSide * kSide;
  const size_t record = label_bytes + kPicture;
  require(!bytes.empty() && bytes.size() % record == 0, Exit::data,
          "{}: damaged or cut off: expected records of {} bytes, found {} bytes", where, record,
          bytes.size());
  const auto count = int64_t(bytes.size() / record);
  Loaded batch{.count = count, .side = kSide, .bytes = std::move(bytes)};
  batch.first = int64_t(label_bytes), batch.step = int64_t(record);
  batch.labels.resize(label_bytes);
  for (size_t which = 0; which < label_bytes; ++which) {
    // CIFAR-100 writes the coarse label first, here it is the second.
    const size_t at = label_bytes - 1 - which;
    for (int64_t i = 0; i < batch.count; ++i)
      batch.labels[which].push_back(static_cast<unsigned char>(batch.bytes[size_t(i) * record + at]));
  }
  batch.pictures = batch.bytes;
  return batch;
}

Loaded read_pickled(std::string bytes, const std::string& where, const std::vector<LabelKind>& kinds) {
  Loaded batch;
  batch.pickle = std::make_unique<const Pickle>(std::move(bytes), where);
  const Pickle::View data = batch.pickle->array("data");
  require(data.element.kind == 'u' && data.element.bytes == 1 && data.shape.size() == 2 && !data.fortran,
          Exit::data, "{}: expected \"data\" to be uint8 [N, 3072] in C order", where);
  batch.count = data.shape[0], batch.step = data.shape[1];
  batch.side = int64_t(std::lround(std::sqrt(double(batch.step) / 3)));
  require(batch.step == 3 * batch.side * batch.side, Exit::data,
          "{}: expected rows of 3 x side x side bytes, found {}", where, batch.step);
  batch.pictures = data.data;
  for (const LabelKind& kind : kinds) {
    batch.labels.push_back(batch.pickle->integers(kind.key));
    require(int64_t(batch.labels.back().size()) == batch.count, Exit::data, "{}: has {} pictures but {} {}",
            where, batch.count, batch.labels.back().size(), kind.key);
  }
  return batch;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) out.push_back(to_utf8(line));
    at = end + 1;
  }
  return out;
}

// --- The data set ---

class Cifar {
 public:
  explicit Cifar(const PackRequest& request)
      : store_(request.source, request.most_bytes()), split_(request.split) {
    require(split_ == "train" || split_ == "test", Exit::usage, "--split: expected train or test, found {}",
            split_);
    for (const Layout& layout : kLayouts) {
      batches_ = batches_of(store_, layout, split_), layout_ = &layout;
      if (!batches_.empty()) break;
    }
    require(!batches_.empty(), Exit::data, "{}: expected the {} batches of CIFAR, found none", request.source,
            split_);
    std::vector<std::vector<int64_t>> all(layout_->labels->size());
    for (const std::string& name : batches_) {
      load(begins_.size());
      begins_.push_back(count_), count_ += batch_.count;
      if (begins_.size() == 1) side_ = batch_.side;
      require(batch_.side == side_, Exit::data, "{}: expected pictures of {}x{}", store_.where(name), side_,
              side_);
      for (size_t which = 0; which < all.size(); ++which)
        all[which].insert(all[which].end(), batch_.labels[which].begin(), batch_.labels[which].end());
    }
    for (size_t which = 0; which < all.size(); ++which) add_labels((*layout_->labels)[which], all[which]);
  }

  const std::vector<Field>& label_fields() const { return fields_; }
  int64_t count() const { return count_; }
  int64_t side() const { return side_; }
  int64_t label(size_t which, int64_t i) const { return labels_[which][size_t(i)]; }
  std::vector<fs::path> files() const { return store_.files(batches_); }

  // A copy that was broken off lacks whole batches, and nothing else shows it.
  std::vector<std::string> notes() const {
    constexpr size_t kTrainBatches = 5;
    if (layout_->labels != &kTen || split_ == "test" || batches_.size() == kTrainBatches) return {};
    return {fmt::format("{} of the {} batches of CIFAR-10 are there: {}", batches_.size(), kTrainBatches,
                        fmt::join(batches_, ", "))};
  }

  torch::Tensor picture(int64_t i) {
    const auto above = std::upper_bound(begins_.begin(), begins_.end(), i);
    const auto number = size_t(above - begins_.begin()) - 1;
    if (number != loaded_) load(number);
    const int64_t at = batch_.first + (i - begins_[number]) * batch_.step;
    torch::Tensor out = torch::empty({3, side_, side_}, torch::kByte);
    std::copy_n(batch_.pictures.data() + at, out.numel(), static_cast<char*>(out.data_ptr()));
    return out;
  }

 private:
  void load(size_t number) {
    batch_ = {};  // free it first
    const std::string& name = batches_[number];
    const std::string where = store_.where(name);
    batch_ = layout_->binary ? read_binary(store_.read(name), where, layout_->labels->size())
                             : read_pickled(store_.read(name), where, *layout_->labels);
    loaded_ = number;
  }

  std::vector<std::string> names_of(const LabelKind& kind) {
    if (layout_->binary)
      return store_.has(kind.text) ? lines_of(store_.read(kind.text)) : std::vector<std::string>{};
    if (!store_.has(layout_->meta)) return {};
    return Pickle(store_.read(layout_->meta), store_.where(layout_->meta)).texts(kind.names);
  }

  void add_labels(const LabelKind& kind, const std::vector<int64_t>& labels) {
    constexpr int64_t kMostClasses = 1 << 20;
    const auto names = names_of(kind);
    const int64_t most = names.empty() ? kMostClasses : int64_t(names.size());
    const auto [least, greatest] = std::minmax_element(labels.begin(), labels.end());
    require(*least >= 0 && *greatest < most, Exit::data, "{}: expected {} from 0 to {}, found {} to {}",
            store_.where(batches_[0]), kind.key, most - 1, *least, *greatest);
    Field field = label_field(names.empty() ? *greatest + 1 : most, names);
    field.name = kind.field;
    fields_.push_back(field);
    labels_.emplace_back(labels.begin(), labels.end());
  }

  Store store_;
  std::string split_;
  const Layout* layout_ = nullptr;
  std::vector<std::string> batches_;
  std::vector<int64_t> begins_;
  std::vector<Field> fields_;
  std::vector<std::vector<int32_t>> labels_;
  int64_t count_ = 0, side_ = 0;
  Loaded batch_;
  size_t loaded_ = 0;
};

Source open_cifar(const PackRequest& request) {
  const auto cifar = std::make_shared<Cifar>(request);
  const Fit how{.channels = request.channels ? request.channels : 3,
                .size = request.size.value_or(ImageSize{cifar->side(), cifar->side()}),
                .filter = request.filter,
                .crop = request.crop,
                .background = parse_colour(request.background)};
  Source source{.count = cifar->count(), .serial = true};
  source.schema.fields.push_back(image_field("image", how.channels, how.size));
  for (const Field& field : cifar->label_fields()) source.schema.fields.push_back(field);
  source.sample = [=](int64_t i) {
    Batch out{{"image", fit(cifar->picture(i), how).unsqueeze(0)}};
    const auto& fields = cifar->label_fields();
    for (size_t which = 0; which < fields.size(); ++which)
      out.set(fields[which].name, torch::tensor({cifar->label(which, i)}));
    return out;
  };
  source.label = [=](int64_t i) { return cifar->label(0, i); };
  source.provenance = provenance_of(request.source, cifar->files());
  source.notes = cifar->notes();
  source.provenance["split"] = request.split;
  return source;
}

bool is_archive_of_cifar(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.find("cifar") != std::string::npos &&
         (name.ends_with(".tar.gz") || name.ends_with(".tgz") || name.ends_with(".tar")) &&
         fs::is_regular_file(path);
}

bool is_folder_of_cifar(const fs::path& path) {
  const auto has = [&](const char* name) { return fs::is_regular_file(path / name); };
  const bool ten =
      has("data_batch_1") || has("test_batch") || has("data_batch_1.bin") || has("test_batch.bin");
  const bool part = has("train") || has("test"), binary = has("train.bin") || has("test.bin");
  return ten || (has("meta") && part) || (has("fine_label_names.txt") && binary);
}

}  // namespace

const Importer kCifar{
    .name = "cifar",
    .takes = "CIFAR-10 or CIFAR-100 of Python or binary: cifar*.tar.gz, or a folder of its batches",
    .flags = "size channels filter crop background split",
    .accepts = [](const PackRequest& request) -> Why {
      if (is_archive_of_cifar(request.source)) return "an archive named cifar";
      if (is_folder_of_cifar(request.source)) return "it holds batches of CIFAR";
      return {};
    },
    .open = open_cifar};

}  // namespace saddle

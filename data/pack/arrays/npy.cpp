// NumPy's .npy, read at any offset, and .npz, a ZIP of them, read forwards through libzip. A Fortran-ordered
// array is gathered block by block; one inside an archive goes to a nameless temporary file first.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "data/pack/arrays/array_labels.h"
#include "data/pack/arrays/npy_header.h"
#include "data/pack/importers.h"
#include "dist/error.h"
#include "dist/utf8.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

// A file read by offset, from any thread.
class File {
 public:
  File(std::string where, int descriptor) : where_(std::move(where)), descriptor_(descriptor) {
    require(descriptor >= 0, Exit::data, "{}: cannot open: {}", where_, std::strerror(errno));
  }
  ~File() { close(descriptor_); }
  File(const File&) = delete;

  int64_t size() const {
    struct stat found {};
    require(fstat(descriptor_, &found) == 0, Exit::data, "{}: {}", where_, std::strerror(errno));
    return found.st_size;
  }

  void read(int64_t at, char* to, int64_t bytes) const {
    while (bytes > 0) {
      const ssize_t got = pread(descriptor_, to, size_t(bytes), at);
      if (got < 0 && errno == EINTR) continue;
      require(got > 0, Exit::data, "{}: damaged or cut off: expected {} more bytes at {}, found {}", where_,
              bytes, at, got < 0 ? std::strerror(errno) : "its end");
      to += got, at += got, bytes -= got;
    }
  }

  void write(const char* from, int64_t bytes) {
    while (bytes > 0) {
      const ssize_t put = ::write(descriptor_, from, size_t(bytes));
      require(put > 0, Exit::io, "{}: cannot write a temporary copy: {}", where_, std::strerror(errno));
      from += put, bytes -= put;
    }
  }

 private:
  std::string where_;
  int descriptor_;
};

// A file without a name, gone when it is closed.
std::shared_ptr<File> temporary(const std::string& where) {
  std::string name = (fs::temp_directory_path() / "saddle-npz-XXXXXX").string();
  const int descriptor = mkstemp(name.data());
  if (descriptor >= 0) unlink(name.c_str());
  return std::make_shared<File>(where, descriptor);
}

// --- Fortran order ---

// Item i of an array [N, ...] lies strewn: one number in each of the runs of N. Runs are read for many items
// at once, which are then handed out one by one.
class Gather {
 public:
  Gather(std::shared_ptr<File> file, const NpyHeader& header) : file_(std::move(file)), header_(header) {
    item_ = header_.element->bytes;
    for (size_t axis = 1; axis < header_.shape.size(); ++axis) item_ *= header_.shape[axis];
    most_ = std::clamp<int64_t>(kBlock / item_, 1, header_.shape[0]);
  }

  void read(int64_t first, int64_t count, char* to) {
    for (int64_t i = first; i < first + count; ++i, to += item_) {
      if (i < first_ || i >= first_ + count_) fill(i);
      std::memcpy(to, block_.data() + (i - first_) * item_, size_t(item_));
    }
  }

 private:
  static constexpr int64_t kBlock = 64 << 20;

  void fill(int64_t first) {
    const int64_t width = header_.element->bytes, rows = header_.shape[0], runs = item_ / width;
    first_ = first, count_ = std::min(most_, rows - first);
    block_.resize(size_t(count_ * item_));
    std::vector<char> run(size_t(count_ * width));
    std::vector<int64_t> index(header_.shape.size(), 0);
    for (int64_t r = 0; r < runs; ++r) {
      file_->read(header_.bytes + (r * rows + first) * width, run.data(), int64_t(run.size()));
      char* to = block_.data() + place(index) * width;
      for (int64_t i = 0; i < count_; ++i)
        std::memcpy(to + i * item_, &run[size_t(i * width)], size_t(width));
      advance(index);
    }
  }

  // Where the number at `index` (of all axes but the first) lies in an item in C order.
  int64_t place(const std::vector<int64_t>& index) const {
    int64_t at = 0;
    for (size_t axis = 1; axis < index.size(); ++axis) at = at * header_.shape[axis] + index[axis];
    return at;
  }

  void advance(std::vector<int64_t>& index) const {  // the second axis fastest
    for (size_t axis = 1; axis < index.size(); ++axis) {
      if (++index[axis] < header_.shape[axis]) return;
      index[axis] = 0;
    }
  }

  std::shared_ptr<File> file_;
  NpyHeader header_;
  int64_t item_ = 0, most_ = 0, first_ = 0, count_ = 0;
  std::vector<char> block_;
};

// --- .npy ---

void check_header(const NpyHeader& header, const std::string& where) {
  require(header.element.has_value(), Exit::data, "{}: expected numbers of 8 to 64 bits, found dtype {}",
          where, to_utf8(header.descr));
  require(!header.shape.empty(), Exit::data, "{}: expected items along a first axis, found a single number",
          where);
}

// The array that begins with the file.
Array array_in(const std::shared_ptr<File>& file, const NpyHeader& header, const std::string& name,
               const std::string& where) {
  check_header(header, where);
  const int64_t there = file->size() - header.bytes;
  const int64_t bytes = checked_bytes(header.shape, header.element->bytes, there, where);
  require(bytes == there, Exit::data, "{}: expected {} bytes of numbers, found {}", where, bytes, there);
  Array array{.name = name, .where = where, .element = *header.element, .shape = header.shape};
  if (header.fortran && header.shape.size() > 1) {
    array.serial = true;
    array.read = [gather = std::make_shared<Gather>(file, header)](int64_t first, int64_t count, char* to) {
      gather->read(first, count, to);
    };
  } else {
    array.read = [file, at = header.bytes, item = bytes / header.shape[0]](int64_t first, int64_t count,
                                                                           char* to) {
      file->read(at + first * item, to, count * item);
    };
  }
  return array;
}

Array open_npy(const fs::path& path, const std::string& name) {
  const auto file = std::make_shared<File>(path.string(), open(path.c_str(), O_RDONLY | O_CLOEXEC));
  int64_t at = 0;
  const auto next = [&](char* to, int64_t bytes) { file->read(at, to, bytes), at += bytes; };
  const NpyHeader header = read_npy_header(next, path.string());
  if (is_label_name(name))
    if (auto texts = read_npy_texts(header, file->size() - header.bytes, next, name, path.string()))
      return std::move(*texts);
  return array_in(file, header, name, path.string());
}

// faces.npy: faces_labels.npy; train_images.npy: train_labels.npy; else labels.npy.
fs::path labels_beside(const fs::path& path) {
  const std::string stem = path.stem().string();
  std::vector<std::string> names{stem + "_labels.npy"};
  if (const size_t at = stem.find("images"); at != std::string::npos)
    names.push_back(std::string(stem).replace(at, 6, "labels") + ".npy");
  names.push_back("labels.npy");
  for (const std::string& name : names)
    if (const fs::path labels = path.parent_path() / name; labels != path && fs::is_regular_file(labels))
      return labels;
  return {};
}

// --- .npz ---

class Archive {
 public:
  explicit Archive(const fs::path& path) : path_(path.string()) {
    int code = 0;
    zip_.reset(zip_open(path_.c_str(), ZIP_RDONLY, &code));
    if (zip_) return;
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string why = zip_error_strerror(&error);
    zip_error_fini(&error);
    fail(Exit::data, "{}: cannot open as a ZIP archive: {}", path_, why);
  }

  const std::string& path() const { return path_; }
  int64_t entries() const { return zip_get_num_entries(zip_.get(), 0); }

  // Name and size of an entry that can be read, its size being possible.
  std::pair<std::string, int64_t> entry(int64_t index) const {
    zip_stat_t found;
    constexpr zip_uint64_t kNeeded =
        ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    require(
        zip_stat_index(zip_.get(), zip_uint64_t(index), 0, &found) == 0 && (found.valid & kNeeded) == kNeeded,
        Exit::data, "{}: damaged at entry {}", path_, index);
    const bool stored = found.comp_method == ZIP_CM_STORE;
    require(stored || found.comp_method == ZIP_CM_DEFLATE, Exit::data,
            "{}: {}: expected it stored or deflated, found compression method {}", path_, to_utf8(found.name),
            found.comp_method);
    const int64_t packed = int64_t(std::min<zip_uint64_t>(found.comp_size, fs::file_size(path_)));
    require(found.size <= zip_uint64_t(stored ? packed : most_inflated(packed)), Exit::data,
            "{}: {}: damaged: claims to be of {} bytes", path_, to_utf8(found.name), found.size);
    return {found.name, int64_t(found.size)};
  }

  zip_file_t* open(int64_t index) const { return zip_fopen_index(zip_.get(), zip_uint64_t(index), 0); }
  std::string reason() const { return zip_strerror(zip_.get()); }

 private:
  struct Discard {
    void operator()(zip_t* zip) const { zip_discard(zip); }
  };
  std::string path_;
  std::unique_ptr<zip_t, Discard> zip_;
};

// An entry of an archive, read forwards; going back begins anew.
class Member {
 public:
  Member(std::shared_ptr<Archive> archive, int64_t index) : archive_(std::move(archive)), index_(index) {
    const auto [name, size] = archive_->entry(index);
    name_ = to_utf8(name), size_ = size;
    begin();
  }

  std::string where() const { return archive_->path() + ": " + name_; }
  const std::string& name() const { return name_; }
  int64_t size() const { return size_; }

  void read(int64_t at, char* to, int64_t bytes) {
    if (at < at_) begin();
    char skipped[1 << 14];
    while (at_ < at) next(skipped, std::min<int64_t>(at - at_, sizeof skipped));
    next(to, bytes);
    if (at_ == size_) finish();
  }

 private:
  struct Close {
    void operator()(zip_file_t* file) const { zip_fclose(file); }
  };

  void begin() {
    at_ = 0;
    file_.reset(archive_->open(index_));
    require(file_ != nullptr, Exit::data, "{}: {}", where(), archive_->reason());
  }

  void next(char* to, int64_t bytes) {
    while (bytes > 0) {
      const int64_t got = zip_fread(file_.get(), to, zip_uint64_t(bytes));
      require(got > 0, Exit::data, "{}: damaged or cut off: expected {} more bytes, found {}", where(), bytes,
              got < 0 ? reason() : "its end");
      to += got, at_ += got, bytes -= got;
    }
  }

  void finish() {  // the checksum is looked at only when the end is seen
    char more;
    const int64_t got = zip_fread(file_.get(), &more, 1);
    require(got == 0, Exit::data, "{}: {}", where(), got > 0 ? "longer than the archive says" : reason());
  }

  std::string reason() const { return zip_error_strerror(zip_file_get_error(file_.get())); }

  std::shared_ptr<Archive> archive_;
  int64_t index_, size_ = 0, at_ = 0;
  std::string name_;
  std::unique_ptr<zip_file_t, Close> file_;
};

std::shared_ptr<File> copied(Member& member) {
  const int64_t free = int64_t(fs::space(fs::temp_directory_path()).available);
  require(member.size() <= free, Exit::io,
          "{}: is in Fortran order, needs {} MiB in {}, which has {} MiB free", member.where(),
          member.size() >> 20, fs::temp_directory_path().string(), free >> 20);
  auto file = temporary(member.where());
  std::vector<char> block(1 << 20);
  for (int64_t at = 0; at < member.size(); at += int64_t(block.size())) {
    const int64_t bytes = std::min(int64_t(block.size()), member.size() - at);
    member.read(at, block.data(), bytes);
    file->write(block.data(), bytes);
  }
  return file;
}

// Nothing if the entry holds neither numbers nor labels; a note says why.
std::optional<Array> open_member(const std::shared_ptr<Archive>& archive, int64_t index,
                                 std::vector<std::string>& notes) {
  const auto member = std::make_shared<Member>(archive, index);
  const std::string where = member->where();
  const fs::path name(member->name());
  if (name.extension() != ".npy") return {};
  int64_t at = 0;
  const auto next = [&](char* to, int64_t bytes) { member->read(at, to, bytes), at += bytes; };
  const NpyHeader header = read_npy_header(next, where);
  const std::string stem = fs::path(name).replace_extension().string();
  if (is_label_name(stem))
    if (auto texts = read_npy_texts(header, member->size() - header.bytes, next, stem, where)) return texts;
  if (!header.element || header.shape.empty() || is_empty(header.shape)) {
    notes.push_back(left_out_note(stem, !header.element        ? why_no_numbers(header)
                                        : header.shape.empty() ? "it is a single number"
                                                               : "it is empty"));
    return {};
  }
  if (header.fortran && header.shape.size() > 1) return array_in(copied(*member), header, stem, where);
  const int64_t there = member->size() - header.bytes;
  const int64_t bytes = checked_bytes(header.shape, header.element->bytes, there, where);
  require(bytes == there, Exit::data, "{}: expected {} bytes of numbers, found {}", where, bytes, there);
  return Array{.name = stem,
               .where = where,
               .element = *header.element,
               .shape = header.shape,
               .read = [member, from = header.bytes, item = bytes / header.shape[0]](
                           int64_t first, int64_t count,
                           char* to) { member->read(from + first * item, to, count * item); },
               .serial = true};
}

std::vector<Array> open_npz(const fs::path& path, std::vector<std::string>& notes) {
  const auto archive = std::make_shared<Archive>(path);
  std::vector<Array> arrays;
  for (int64_t index = 0; index < archive->entries(); ++index)
    if (auto array = open_member(archive, index, notes)) arrays.push_back(std::move(*array));
  return arrays;
}

Source open_arrays(const PackRequest& request) {
  const fs::path path(request.source);
  if (path.extension() == ".npz") {
    std::vector<std::string> notes;
    std::vector<Array> arrays = open_npz(path, notes);
    Source source = source_of(std::move(arrays), request, std::move(notes));
    source.provenance = provenance_of(request.source, {path});
    return source;
  }
  std::vector<fs::path> files{path};
  std::vector<Array> arrays{open_npy(path, "x")};
  if (const fs::path labels = labels_beside(path); !labels.empty()) {
    arrays.push_back(open_npy(labels, "label"));
    files.push_back(labels);
  }
  Source source = source_of(std::move(arrays), request);
  source.provenance = provenance_of(request.source, files);
  return source;
}

Why accepts(const PackRequest& request) {
  const fs::path path(request.source), kind = path.extension();
  if ((kind != ".npy" && kind != ".npz") || !fs::is_regular_file(path)) return {};
  return "its name ends in " + kind.string();
}

}  // namespace

const Importer kNpy{.name = "npy",
                    .takes = "a NumPy file .npy (labels in NAME_labels.npy or labels.npy) or .npz",
                    .flags = "axes size channels bits filter crop background range split classes",
                    .accepts = accepts,
                    .open = open_arrays};

}  // namespace saddle

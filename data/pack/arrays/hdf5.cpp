// HDF5 files of arrays, as BigGAN (imgs [N, 3, H, W], labels [N]), StudioGAN and h5py users make them. They
// are read by whole rows of chunks, each once, since HDF5 unpacks a chunk anew for every sample.
#include <libdeflate.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include "data/pack/arrays/array_labels.h"
#include "data/pack/arrays/hdf5_texts.h"
#include "data/pack/files/lzf.h"
#include "data/pack/files/room.h"
#include "data/pack/importers.h"
#include "data/store/hdf5.h"
#include "dist/error.h"
#include "dist/utf8.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using hdf5::Handle;
using hdf5::Quiet;

// What HDF5 converts to when it reads.
hid_t memory_type(const Element& element) {
  const bool is_signed = element.kind == 'i';
  if (element.kind == 'f') return element.bytes == 8 ? H5T_NATIVE_DOUBLE : H5T_NATIVE_FLOAT;
  switch (element.bytes) {
    case 1:
      return is_signed ? H5T_NATIVE_INT8 : H5T_NATIVE_UINT8;
    case 2:
      return is_signed ? H5T_NATIVE_INT16 : H5T_NATIVE_UINT16;
    case 4:
      return is_signed ? H5T_NATIVE_INT32 : H5T_NATIVE_UINT32;
    default:
      return is_signed ? H5T_NATIVE_INT64 : H5T_NATIVE_UINT64;
  }
}

// Nothing for texts, records and the like. Floats of 16 bits come as 32.
std::optional<Element> element_of_type(hid_t type) {
  const int64_t bytes = int64_t(H5Tget_size(type));
  if (bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8) return {};
  switch (H5Tget_class(type)) {
    case H5T_INTEGER:
      return Element{.kind = H5Tget_sign(type) == H5T_SGN_NONE ? 'u' : 'i', .bytes = bytes};
    case H5T_FLOAT:
      if (bytes == 1) return {};
      return Element{.kind = 'f', .bytes = std::max<int64_t>(bytes, 4)};
    case H5T_ENUM:
      if (!is_bool(type)) return {};
      return Element{.kind = 'b', .bytes = 1};
    default:
      return {};
  }
}

// A dataset, read by blocks of items; the last one is kept.
class BlockReader {
 public:
  BlockReader(std::shared_ptr<const Handle> file, const std::string& name, std::string where,
              int64_t file_bytes, int64_t most)
      : file_(std::move(file)), where_(std::move(where)), file_bytes_(file_bytes), most_(most) {
    set_ = Handle(open(*file_, name), H5Dclose);
    check(set_);
    space_ = Handle(check(H5Dget_space(set_)), H5Sclose);
    const Handle type(check(H5Dget_type(set_)), H5Tclose);
    if (const auto element = element_of_type(type)) element_ = *element;
    names_ = kind_of_names(type).value_or("");
    type_ = Handle(check(H5Tcopy(element_.kind == 'b' ? hid_t(type) : memory_type(element_))), H5Tclose);
    if (element_.kind && H5Sget_simple_extent_type(space_) == H5S_SIMPLE) measure(int64_t(H5Tget_size(type)));
  }

  const Element& element() const { return element_; }
  const std::string& names() const { return names_; }           // what it holds instead of numbers, if names
  const std::string& problem() const { return problem_; }       // why it cannot be read; empty: it can
  const std::vector<int64_t>& shape() const { return shape_; }  // empty: a single number, or nothing

  void read(int64_t first, int64_t count, char* to) {
    for (int64_t i = first; i < first + count; ++i, to += item_) {
      if (i < first_ || i >= first_ + count_) fill(i);
      std::copy_n(block_.data() + (i - first_) * item_, item_, to);
    }
  }

 private:
  static constexpr int64_t kMostBlock = 256 << 20, kBlock = 1 << 20;
  static constexpr int64_t kSlack = 1 << 12;  // heads of filters before the last

  static hid_t open(hid_t file, const std::string& name) {
    const Handle access(H5Pcreate(H5P_DATASET_ACCESS), H5Pclose);
    H5Pset_chunk_cache(access, 0, 0, 1);  // the block is the cache
    return H5Dopen2(file, name.c_str(), access);
  }

  void measure(int64_t width) {
    std::vector<hsize_t> extents(size_t(std::max(0, H5Sget_simple_extent_ndims(space_))));
    check(H5Sget_simple_extent_dims(space_, extents.data(), nullptr));
    for (hsize_t extent : extents) shape_.push_back(int64_t(std::min<hsize_t>(extent, INT64_MAX)));
    if (shape_.empty() || is_empty(shape_)) return;
    const int64_t most = most_inflated(file_bytes_);
    item_ = checked_bytes(shape_, element_.bytes, most, where_) / shape_[0];
    problem_ = lack_of_room("items of it", double(item_), most_);
    const Handle how(check(H5Dget_create_plist(set_)), H5Pclose);
    if (H5Pget_layout(how) == H5D_VIRTUAL || H5Pget_external_count(how) > 0)
      problem_ = "expected the numbers in this file, found them in others";
    int64_t rows = std::max<int64_t>(1, kBlock / item_);
    if (H5Pget_layout(how) == H5D_CHUNKED) {
      chunk_.resize(extents.size());
      check(H5Pget_chunk(how, int(chunk_.size()), chunk_.data()));
      const std::vector<int64_t> sizes(chunk_.begin(), chunk_.end());
      chunk_bytes_ = checked_bytes(sizes, element_.bytes, most, where_ + " (chunk)");
      if (const std::string lack = lack_of_room("chunks of it", double(chunk_bytes_), most_); !lack.empty())
        problem_ = lack;
      check_filters(how, width);
      rows = std::min(int64_t(chunk_[0]), std::max<int64_t>(1, std::min(kMostBlock, most_) / item_));
    }
    rows_ = std::min(rows, shape_[0]);
  }

  // Some filters are told by the file how much they unpack, and deflate goes on to its end.
  void check_filters(hid_t how, int64_t width) {
    constexpr size_t kCount = 2, kWidth = 4;  // of numbers and of their bytes, by filters of packed bits
    const int64_t numbers = c10::multiply_integers(chunk_);
    int packers = 0;
    for (int i = 0; i < H5Pget_nfilters(how); ++i) {
      unsigned flags = 0, parameter[8] = {};
      size_t parameters = std::size(parameter);
      char name[64] = "";
      const auto filter =
          H5Pget_filter2(how, unsigned(i), &flags, &parameters, parameter, sizeof name, name, nullptr);
      packers += filter == H5Z_FILTER_DEFLATE || filter == H5Z_FILTER_SZIP || filter >= H5Z_FILTER_RESERVED;
      if (filter == H5Z_FILTER_DEFLATE) deflate_ = i;
      if (deflate_ >= 0 && deflate_ < i && filter != H5Z_FILTER_FLETCHER32) ++packers;
      const bool bits = filter == H5Z_FILTER_NBIT || filter == H5Z_FILTER_SCALEOFFSET;
      if ((bits && (parameter[kCount] != numbers || parameter[kWidth] != width)) ||
          (filter == kLzf && parameter[2] > chunk_bytes_ + kSlack))
        problem_ = fmt::format("damaged: its filter {} claims more than a chunk is of", filter);
      if (filter < 0 || H5Zfilter_avail(filter) <= 0)
        problem_ =
            fmt::format("is packed by filter {} ({}), which this HDF5 has not; repack it: h5repack -f GZIP=1",
                        filter, to_utf8(std::string(name, strnlen(name, sizeof name))));
    }
    if (packers > 1 && problem_.empty())
      problem_ = "is packed by several filters, one upon another; repack it: h5repack -f GZIP=1";
  }

  // Of the block that is to be read: none unpacks to more than it is of. Those too small for it are not
  // tried.
  void check_chunks(int64_t end) {
    std::vector<hsize_t> at(chunk_.size(), 0);
    for (at[0] = hsize_t(first_) / chunk_[0] * chunk_[0]; at[0] < hsize_t(end);) {
      check_chunk(at.data());
      size_t axis = at.size() - 1;  // the last one runs fastest
      while (axis > 0 && (at[axis] += chunk_[axis]) >= hsize_t(shape_[axis])) at[axis--] = 0;
      if (axis == 0) at[0] += chunk_[0];
    }
  }

  void check_chunk(const hsize_t* at) {
    hsize_t packed = 0;
    if (H5Dget_chunk_storage_size(set_, at, &packed) < 0 || most_inflated(int64_t(packed)) <= most_) return;
    require(packed <= hsize_t(file_bytes_), Exit::data, "{}: damaged: a chunk claims {} bytes", where_,
            packed);
    std::vector<char> from(packed);
    uint32_t skipped = 0;  // filters, as bits
    check(H5Dread_chunk(set_, H5P_DEFAULT, at, &skipped, from.data()));
    if (skipped >> deflate_ & 1) return;
    unpacked_.resize(size_t(chunk_bytes_ + kSlack));
    const std::unique_ptr<libdeflate_decompressor, void (*)(libdeflate_decompressor*)> unpacker(
        libdeflate_alloc_decompressor(), libdeflate_free_decompressor);
    size_t read = 0, made = 0;
    require(libdeflate_zlib_decompress_ex(unpacker.get(), from.data(), from.size(), unpacked_.data(),
                                          unpacked_.size(), &read, &made) != LIBDEFLATE_INSUFFICIENT_SPACE,
            Exit::data, "{}: damaged: expected chunks of {} bytes, found one that unpacks to more", where_,
            chunk_bytes_);
  }

  void fill(int64_t i) {
    const Quiet quiet;
    first_ = i / rows_ * rows_, count_ = 0;
    const int64_t count = std::min(rows_, shape_[0] - first_);
    if (deflate_ >= 0) check_chunks(first_ + count);
    block_.resize(size_t(count * item_));
    std::vector<hsize_t> from(shape_.size(), 0), extents(shape_.begin(), shape_.end());
    from[0] = hsize_t(first_), extents[0] = hsize_t(count);
    const Handle memory(check(H5Screate_simple(int(extents.size()), extents.data(), nullptr)), H5Sclose);
    check(H5Sselect_hyperslab(space_, H5S_SELECT_SET, from.data(), nullptr, extents.data(), nullptr));
    check(H5Dread(set_, type_, memory, space_, H5P_DEFAULT, block_.data()));
    count_ = count;
  }

  hid_t check(hid_t result) const {
    require(result >= 0, Exit::data, "{}: damaged: {}", where_, hdf5::reason());
    return result;
  }

  std::shared_ptr<const Handle> file_;  // closed after what lies in it
  std::string where_, names_, problem_;
  Handle set_, space_, type_;
  Element element_;
  std::vector<int64_t> shape_;
  int64_t file_bytes_, most_;
  std::vector<hsize_t> chunk_;  // its extents; empty: it has none
  int64_t chunk_bytes_ = 0;
  int deflate_ = -1;  // its place among the filters
  int64_t item_ = 0, rows_ = 0, first_ = 0, count_ = 0;
  std::vector<char> block_, unpacked_;
};

// Links into other files, which nobody chose to read: they are not followed. Labels that are one are missing.
void note_links_elsewhere(hid_t file, const std::string& path, std::vector<std::string>& notes) {
  std::vector<std::string> found;
  const auto visit = [](hid_t, const char* name, const H5L_info_t* link, void* to) -> herr_t {
    if (link->type == H5L_TYPE_EXTERNAL) static_cast<std::vector<std::string>*>(to)->emplace_back(name);
    return 0;
  };
  H5Lvisit(file, H5_INDEX_NAME, H5_ITER_INC, visit, &found);
  for (const std::string& name : found) {
    require(
        !is_label_name(name), Exit::data,
        "{}: expected the numbers in this file, found a link into another one: {}; copy them in, as h5copy "
        "does",
        path, to_utf8(name));
    notes.push_back(left_out_note(name, "it is a link into another file"));
  }
}

// The datasets of the file, in groups too, by path. Links to elsewhere are not followed; what has two paths
// is found by one.
std::vector<std::string> datasets_of(hid_t file, const std::string& path) {
  std::vector<std::string> names;
  const auto visit = [](hid_t, const char* name, const H5O_info_t* info, void* to) -> herr_t {
    if (info->type == H5O_TYPE_DATASET) static_cast<std::vector<std::string>*>(to)->emplace_back(name);
    return 0;
  };
#if H5_VERSION_GE(1, 12, 0)
  const herr_t whole = H5Ovisit3(file, H5_INDEX_NAME, H5_ITER_INC, visit, &names, H5O_INFO_BASIC);
#else
  const herr_t whole = H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, visit, &names, H5O_INFO_BASIC);
#endif
  require(whole >= 0, Exit::data, "{}: damaged{}, or of a newer HDF5 than {}.{}.{}: {}", path,
          names.empty() ? "" : " behind " + to_utf8(names.back()), H5_VERS_MAJOR, H5_VERS_MINOR,
          H5_VERS_RELEASE, hdf5::reason());
  return names;
}

// Why an array is none to pack; empty if it is one.
std::string why_left_out(const BlockReader& set) {
  if (!set.names().empty())
    return fmt::format("it holds {}; call it label if these are the classes", set.names());
  if (!set.element().kind) return "it holds no numbers";
  if (set.shape().empty()) return "it is a single number";
  return is_empty(set.shape()) ? "it is empty" : "";
}

std::vector<Array> arrays_of(const fs::path& path, int64_t most, std::vector<std::string>& notes) {
  const Quiet quiet;
  register_lzf();
  const auto file = std::make_shared<const Handle>(hdf5::open_for_reading(path.string()),
                                                   [](hid_t id) { return H5Fclose(id); });
  require(*file >= 0, Exit::data, "{}: expected an HDF5 file, found a damaged or other one ({})",
          path.string(), hdf5::reason());
  note_links_elsewhere(*file, path.string(), notes);
  std::vector<Array> arrays;
  for (const std::string& name : datasets_of(*file, path.string())) {
    const std::string where = path.string() + ": " + to_utf8(name);
    const auto set = std::make_shared<BlockReader>(file, name, where, int64_t(fs::file_size(path)), most);
    if (!set->names().empty() && is_label_name(name))
      if (auto labels = read_hdf5_names(*file, name, where, int64_t(fs::file_size(path)))) {
        arrays.push_back(std::move(*labels));
        continue;
      }
    if (const std::string why = why_left_out(*set); !why.empty()) {
      notes.push_back(left_out_note(name, why));
      continue;
    }
    arrays.push_back({.name = name,
                      .where = where,
                      .element = set->element(),
                      .shape = set->shape(),
                      .read = [set](int64_t first, int64_t count, char* to) { set->read(first, count, to); },
                      .serial = true,
                      .problem = set->problem()});
  }
  return arrays;
}

// HDF5 1.10 crashes on some files whose structure is damaged. So it is tried in a process of its own: every
// structure, and of each array the first and the last item.
void try_apart(const fs::path& path, int64_t most) {
  const pid_t child = fork();
  if (child == 0) {
    constexpr unsigned kSeconds = 60;
    const rlimit none{};
    setrlimit(RLIMIT_CORE, &none);
    for (const int each : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL}) signal(each, SIG_DFL);
    alarm(kSeconds);  // also ends what would never end
    static_cast<void>(!freopen("/dev/null", "w", stderr));
    try {
      std::vector<char> item;
      std::vector<std::string> notes;
      for (const Array& array : arrays_of(path, most, notes)) {
        if (!array.problem.empty()) continue;
        item.resize(size_t(c10::multiply_integers(array.shape) / array.shape[0] * array.element.bytes));
        for (const int64_t i : {int64_t{0}, array.shape[0] - 1}) array.read(i, 1, item.data());
      }
    } catch (...) {  // said again by who tries in earnest
    }
    _exit(0);
  }
  int status = 0;
  require(child < 0 || (waitpid(child, &status, 0) == child && status == 0), Exit::data,
          "{}: damaged: HDF5 {}.{}.{} cannot bear it (signal {})", path.string(), H5_VERS_MAJOR,
          H5_VERS_MINOR, H5_VERS_RELEASE, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

Source open_hdf5(const PackRequest& request) {
  const fs::path path(request.source);
  try_apart(path, request.most_bytes());
  std::vector<std::string> notes;
  std::vector<Array> arrays = arrays_of(path, request.most_bytes(), notes);
  Source source = source_of(std::move(arrays), request, std::move(notes));
  source.provenance = provenance_of(request.source, {path});
  return source;
}

Why accepts(const PackRequest& request) {
  const fs::path path(request.source), kind = path.extension();
  if ((kind != ".h5" && kind != ".hdf5") || !fs::is_regular_file(path)) return {};
  return "its name ends in " + kind.string();
}

}  // namespace

const Importer kHdf5{.name = "hdf5",
                     .takes = "an HDF5 file of arrays: imgs and labels as of BigGAN and StudioGAN, or others",
                     .flags = "axes size channels bits filter crop background range split classes",
                     .accepts = accepts,
                     .open = open_hdf5};

}  // namespace saddle

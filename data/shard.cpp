#include "data/shard.h"

#include <fcntl.h>
#include <hdf5.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "data/checksum.h"
#include "dist/error.h"

namespace saddle {
namespace {

constexpr const char* kChecksums = ".checksums";

class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  Handle(const Handle&) = delete;
  operator hid_t() const { return id_; }
  bool close() { return close_(std::exchange(id_, -1)) >= 0; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

// HDF5 prints its errors unless told not to; they come with our own instead.
struct Quiet {
  Quiet() {
    // HDF5 1.10 loses handles of its own on damaged files and complains about them at exit; ours are closed
    // by then.
    static const bool once = H5dont_atexit() >= 0;
    static_cast<void>(once);
    H5Eget_auto2(H5E_DEFAULT, &print, &data);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  ~Quiet() { H5Eset_auto2(H5E_DEFAULT, print, data); }
  Quiet(const Quiet&) = delete;
  H5E_auto2_t print = nullptr;
  void* data = nullptr;
};

std::string reason() {
  std::string innermost;
  const auto keep = [](unsigned depth, const H5E_error2_t* error, void* to) -> herr_t {
    if (depth == 0) *static_cast<std::string*>(to) = error->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep, &innermost);
  return innermost.empty() ? "HDF5 gives no reason" : innermost;
}

hid_t file_type(torch::ScalarType dtype) {
  switch (dtype) {
    case torch::kByte:
      return H5T_STD_U8LE;
    case torch::kChar:
      return H5T_STD_I8LE;
    case torch::kShort:
      return H5T_STD_I16LE;
    case torch::kInt:
      return H5T_STD_I32LE;
    case torch::kLong:
      return H5T_STD_I64LE;
    case torch::kFloat:
      return H5T_IEEE_F32LE;
    case torch::kDouble:
      return H5T_IEEE_F64LE;
    default:
      fail(Exit::bug, "no HDF5 type for {}", torch::toString(dtype));
  }
}

std::vector<hsize_t> extent(const Field& field, int64_t count) {
  std::vector<hsize_t> all{hsize_t(count)};
  all.insert(all.end(), field.shape.begin(), field.shape.end());
  return all;
}

// What a shard says about itself, in the order of writing; equal shards are equal byte for byte.
nlohmann::json header(const Schema& schema, int64_t count, const std::string& digest) {
  return {{"format", kFormatVersion}, {"count", count}, {"digest", digest}, {"schema", to_json(schema)}};
}

class Writer {
 public:
  explicit Writer(const std::string& path) : path_(path), file_(create(path), H5Fclose) { check(file_); }

  void group(const char* name) {
    Handle how(without_clock(H5P_GROUP_CREATE), H5Pclose);
    Handle made(check(H5Gcreate2(file_, name, H5P_DEFAULT, how, H5P_DEFAULT)), H5Gclose);
  }

  void dataset(const std::string& name, hid_t type, const std::vector<hsize_t>& extent, const void* data) {
    Handle space(check(H5Screate_simple(int(extent.size()), extent.data(), nullptr)), H5Sclose);
    Handle how(without_clock(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_layout(how, H5D_CONTIGUOUS);
    H5Pset_alloc_time(how, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(how, H5D_FILL_TIME_NEVER);
    Handle set(check(H5Dcreate2(file_, name.c_str(), type, space, H5P_DEFAULT, how, H5P_DEFAULT)), H5Dclose);
    check(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data));
  }

  void attribute(const char* name, const std::string& text) {
    Handle type(check(H5Tcopy(H5T_C_S1)), H5Tclose);
    H5Tset_size(type, text.size());
    Handle space(check(H5Screate(H5S_SCALAR)), H5Sclose);
    Handle made(check(H5Acreate2(file_, name, type, space, H5P_DEFAULT, H5P_DEFAULT)), H5Aclose);
    check(H5Awrite(made, type, text.data()));
  }

  void close() {
    check(H5Fflush(file_, H5F_SCOPE_GLOBAL));
    check(file_.close() ? 0 : -1);
  }

 private:
  // How to create an object whose bytes do not depend on when it is made.
  static hid_t without_clock(hid_t kind) {
    const hid_t how = H5Pcreate(kind);
    H5Pset_obj_track_times(how, false);
    return how;
  }

  static hid_t create(const std::string& path) {
    Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18);  // checksummed headers, large attributes
    H5Pset_alignment(access, 4096, 4096);                          // samples of 4 KiB stay within pages
    Handle how(without_clock(H5P_FILE_CREATE), H5Pclose);          // of the root group
    return H5Fcreate(path.c_str(), H5F_ACC_TRUNC, how, access);
  }

  hid_t check(hid_t result) const {
    require(result >= 0, Exit::io, "{}: cannot write: {}", path_, reason());
    return result;
  }

  std::string path_;
  Handle file_;
};

void sync(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool done = descriptor >= 0 && fsync(descriptor) == 0;
  const int why = errno;
  if (descriptor >= 0) close(descriptor);
  require(done, Exit::io, "{}: cannot sync: {}", path, std::strerror(why));
}

class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path), file_(open(path), H5Fclose) { check(file_); }

  nlohmann::json attribute(const char* name) const {
    Handle made(check(H5Aopen(file_, name, H5P_DEFAULT)), H5Aclose);
    Handle type(check(H5Aget_type(made)), H5Tclose);
    std::string text(H5Tget_size(type), '\0');
    check(H5Tget_class(type) == H5T_STRING && !H5Tis_variable_str(type) ? H5Aread(made, type, text.data())
                                                                        : -1);
    return nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  }

  // Where the dataset's first byte is in the file.
  int64_t offset(const std::string& name, hid_t type, const std::vector<hsize_t>& extent) const {
    Handle set(check(H5Dopen2(file_, name.c_str(), H5P_DEFAULT)), H5Dclose);
    Handle space(check(H5Dget_space(set)), H5Sclose), found(check(H5Dget_type(set)), H5Tclose);
    std::vector<hsize_t> dims(std::max(0, H5Sget_simple_extent_ndims(space)));
    H5Sget_simple_extent_dims(space, dims.data(), nullptr);
    const haddr_t at = H5Dget_offset(set);
    require(
        dims == extent && H5Tequal(found, type) > 0 && at != HADDR_UNDEF, Exit::data,
        "{}: expected /{} to be contiguous [{}] of the schema's type, found [{}] or another type or layout",
        path_, name, fmt::join(extent, ", "), fmt::join(dims, ", "));
    return int64_t(at);
  }

 private:
  static hid_t open(const std::string& path) {
    Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
#if H5_VERSION_GE(1, 10, 7)
    H5Pset_file_locking(access, false, true);  // network file systems often have no locks; nobody writes here
#endif
    return H5Fopen(path.c_str(), H5F_ACC_RDONLY, access);
  }

  hid_t check(hid_t result) const {
    require(result >= 0, Exit::data,
            "{}: expected a shard, found a damaged or foreign file ({}); pack again with --force", path_,
            reason());
    return result;
  }

  std::string path_;
  Handle file_;
};

}  // namespace

std::string shard_digest(const std::vector<Column>& columns) {
  std::vector<uint64_t> all;
  for (const Column& column : columns)
    all.insert(all.end(), column.checksums.begin(), column.checksums.end());
  return hex(checksum(all.data(), all.size() * sizeof(uint64_t)));
}

void write_shard(const std::string& path, const Schema& schema, const std::vector<Column>& columns) {
  const Quiet quiet;
  const int64_t count = int64_t(columns.at(0).checksums.size());
  Writer writer(path);
  const nlohmann::json about = header(schema, count, shard_digest(columns));
  for (const auto& [name, value] : about.items()) writer.attribute(name.c_str(), value.dump());
  for (size_t f = 0; f < columns.size(); ++f)
    writer.dataset(schema.fields[f].name, file_type(schema.fields[f].dtype), extent(schema.fields[f], count),
                   columns[f].data.data());
  writer.group(kChecksums);
  for (size_t f = 0; f < columns.size(); ++f)
    writer.dataset(fmt::format("{}/{}", kChecksums, schema.fields[f].name), H5T_STD_U64LE, {hsize_t(count)},
                   columns[f].checksums.data());
  writer.close();
  sync(path);
}

std::string hdf5_version() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return fmt::format("{}.{}.{}", major, minor, release);
}

Shard::Shard(const std::string& path, const Schema& schema, const ShardInfo& expected)
    : path_(path), count_(expected.count), fields_(schema.fields) {
  struct stat status {};
  const int reason = stat(path.c_str(), &status) == 0 ? 0 : errno;
  require(reason == 0, Exit::data,
          "{}: expected a shard of {} samples, found no readable file ({}); restore it or pack again with "
          "--force",
          path, count_, std::strerror(reason));
  require(
      status.st_size == expected.bytes, Exit::data,
      "{}: expected {} bytes, found {}; it was cut off or replaced: restore it or pack again with --force",
      path, expected.bytes, int64_t(status.st_size));
  locate(schema, expected);
  descriptor_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  require(descriptor_ >= 0, Exit::data, "{}: cannot open: {}", path, std::strerror(errno));
}

Shard::~Shard() {
  if (descriptor_ >= 0) close(descriptor_);
}

Shard::Shard(Shard&& other) noexcept
    : path_(std::move(other.path_)),
      count_(other.count_),
      fields_(std::move(other.fields_)),
      extents_(std::move(other.extents_)),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

void Shard::locate(const Schema& schema, const ShardInfo& expected) {
  const Quiet quiet;
  const Reader reader(path_);
  const nlohmann::json about = header(schema, count_, expected.digest);
  for (const auto& [name, value] : about.items()) {
    const nlohmann::json found = reader.attribute(name.c_str());
    require(found == value, Exit::data,
            "{}: it belongs to another data set: expected {} {}, found {}; restore the shard or pack again "
            "with --force",
            path_, name, value.dump(), found.dump());
  }
  for (const Field& field : fields_)
    extents_.push_back({.data = reader.offset(field.name, file_type(field.dtype), extent(field, count_)),
                        .checksums = reader.offset(fmt::format("{}/{}", kChecksums, field.name),
                                                   H5T_STD_U64LE, {hsize_t(count_)})});
}

void Shard::read_at(int64_t offset, void* to, int64_t bytes) const {
  char* cursor = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t got = pread(descriptor_, cursor, size_t(bytes), offset);
    if (got < 0 && errno == EINTR) continue;
    require(got > 0, Exit::data, "{}: cannot read {} bytes at {}: {}; see `saddle check`", path_, bytes,
            offset, got < 0 ? std::strerror(errno) : "the file ends before");
    cursor += got, offset += got, bytes -= got;
  }
}

uint64_t Shard::stored_checksum(size_t field, int64_t row) const {
  uint64_t value = 0;
  read_at(extents_[field].checksums + row * int64_t(sizeof value), &value, sizeof value);
  return value;
}

void Shard::read(size_t field, int64_t row, void* to, bool verify) const {
  const int64_t bytes = fields_[field].bytes();
  read_at(extents_[field].data + row * bytes, to, bytes);
  if (!verify) return;
  const uint64_t expected = stored_checksum(field, row), found = checksum(to, size_t(bytes));
  require(found == expected, Exit::data,
          "{}: field {} of sample {} is damaged: expected checksum {}, found {}; restore the shard or pack "
          "again with --force",
          path_, fields_[field].name, row, hex(expected), hex(found));
}

}  // namespace saddle

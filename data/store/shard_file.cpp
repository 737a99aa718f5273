#include "data/store/shard_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "data/checksum.h"
#include "data/store/hdf5.h"
#include "dist/error.h"
#include "dist/json.h"

namespace saddle {
namespace {

constexpr const char *kChecksums = ".checksums", *kEnds = ".ends", *kChunks = ".chunks";
constexpr int64_t kChunkBytes = 8192;  // at least, where samples are smaller: those compress badly one by one

using hdf5::Handle;
using hdf5::Quiet;
using Dims = std::vector<hsize_t>;

// IEEE 754's binary16, which HDF5 1.10 has no name for; h5py reads it as float16.
hid_t half_type() {
  static const hid_t type = [] {
    const hid_t made = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_fields(made, 15, 10, 5, 0, 10);
    H5Tset_size(made, 2);
    H5Tset_ebias(made, 15);
    return made;
  }();
  return type;
}

hid_t file_type(torch::ScalarType dtype) {
  switch (dtype) {
    case torch::kByte:
      return H5T_STD_U8LE;
    case torch::kUInt16:
      return H5T_STD_U16LE;
    case torch::kChar:
      return H5T_STD_I8LE;
    case torch::kShort:
      return H5T_STD_I16LE;
    case torch::kInt:
      return H5T_STD_I32LE;
    case torch::kLong:
      return H5T_STD_I64LE;
    case torch::kHalf:
      return half_type();
    case torch::kFloat:
      return H5T_IEEE_F32LE;
    case torch::kDouble:
      return H5T_IEEE_F64LE;
    default:
      fail(Exit::bug, "no HDF5 type for {}", torch::toString(dtype));
  }
}

std::string beside(const char* group, const Field& field) {
  return fmt::format("{}/{}", group, field.name);
}

// The dataset's extents: those of the field behind the number of its rows.
Dims dims_of(const Field& field, int64_t rows) {
  Dims dims{hsize_t(rows)};
  dims.insert(dims.end(), field.shape.begin() + (field.variable ? 1 : 0), field.shape.end());
  return dims;
}

int64_t rows_of_chunk(const Field& field) {
  return std::max<int64_t>(1, kChunkBytes / field.row_bytes());
}

class Writer {
 public:
  Writer(const std::string& path, bool aligned) : path_(path), file_(create(path, aligned), H5Fclose) {
    check(file_);
  }

  void group(const char* name) {
    Handle how(without_clock(H5P_GROUP_CREATE), H5Pclose);
    Handle made(check(H5Gcreate2(file_, name, H5P_DEFAULT, how, H5P_DEFAULT)), H5Gclose);
  }

  void contiguous(const std::string& name, hid_t type, const Dims& dims, const void* data) {
    Handle how(without_clock(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_layout(how, H5D_CONTIGUOUS);
    H5Pset_alloc_time(how, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(how, H5D_FILL_TIME_NEVER);
    const Handle set = write(name, type, dims, how, data);
  }

  // As contiguous, deflated in chunks of `rows`; returns the chunks: address, stored bytes, 1 if stored as it
  // was.
  std::vector<int64_t> compressed(const std::string& name, hid_t type, const Dims& dims, const void* data,
                                  int64_t rows, int64_t level) {
    Dims chunk = dims;
    chunk[0] = hsize_t(rows);
    Handle how(without_clock(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_chunk(how, int(chunk.size()), chunk.data());
    H5Pset_deflate(how, unsigned(level));
    const Handle set = write(name, type, dims, how, data);
    check(H5Dflush(set));
    std::vector<int64_t> chunks;
    for (Dims at(dims.size()); at[0] < dims[0]; at[0] += chunk[0]) {
      unsigned skipped = 0;
      haddr_t address = 0;
      hsize_t bytes = 0;
      check(H5Dget_chunk_info_by_coord(set, at.data(), &skipped, &address, &bytes));
      chunks.insert(chunks.end(), {int64_t(address), int64_t(bytes), skipped ? 1 : 0});
    }
    return chunks;
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

  static hid_t create(const std::string& path, bool aligned) {
    Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18);  // checksummed headers, large attributes
    if (aligned)
      H5Pset_alignment(access, 4096, 4096);  // samples of 4 KiB stay within pages; chunks would be padded
    Handle how(without_clock(H5P_FILE_CREATE), H5Pclose);  // of the root group
    std::remove(path.c_str());  // what a killed one left; and a link is not followed
    return H5Fcreate(path.c_str(), H5F_ACC_EXCL, how, access);
  }

  Handle write(const std::string& name, hid_t type, const Dims& dims, hid_t how, const void* data) {
    Handle space(check(H5Screate_simple(int(dims.size()), dims.data(), nullptr)), H5Sclose);
    Handle set(check(H5Dcreate2(file_, name.c_str(), type, space, H5P_DEFAULT, how, H5P_DEFAULT)), H5Dclose);
    check(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data));
    return set;
  }

  hid_t check(hid_t result) const {
    require(result >= 0, Exit::io, "{}: cannot write: {}", path_, hdf5::reason());
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
  explicit Reader(const std::string& path) : path_(path), file_(hdf5::open_for_reading(path), H5Fclose) {
    check(file_);
  }

  nlohmann::json attribute(const char* name) const {
    Handle made(check(H5Aopen(file_, name, H5P_DEFAULT)), H5Aclose);
    Handle type(check(H5Aget_type(made)), H5Tclose);
    const size_t bytes = H5Tget_size(type);
    const bool text = H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0;
    check(text && bytes <= std::min<uintmax_t>(kMostJsonBytes, std::filesystem::file_size(path_)) ? 0 : -1);
    std::string value(bytes, '\0');
    check(H5Aread(made, type, value.data()));
    return parse_json(value, path_ + ": its " + name);
  }

  Extent extent(const Field& field, int64_t count) const {
    Extent out{.checksums = contiguous(beside(kChecksums, field), H5T_STD_U64LE, {hsize_t(count)})};
    if (field.variable) out.ends = contiguous(beside(kEnds, field), H5T_STD_I64LE, {hsize_t(count)});
    const hid_t type = file_type(field.dtype);
    const Set set(*this, field.name);
    const int64_t rows = field.variable && !set.dims.empty() ? int64_t(set.dims[0]) : count;
    out.bytes = bytes_of(rows, field);
    const int64_t chunk = set.chunk_rows();
    set.expect(type, dims_of(field, rows));
    if (chunk == 0) {
      out.data = rows ? set.offset() : 0;
      return out;
    }
    out.chunk_bytes = bytes_of(chunk, field);
    out.chunks =
        contiguous(beside(kChunks, field), H5T_STD_I64LE, {hsize_t((rows + chunk - 1) / chunk), hsize_t{3}});
    return out;
  }

 private:
  struct Set {
    Set(const Reader& reader, const std::string& name)
        : path(reader.path_), name(name), id(reader.open(name), H5Dclose) {
      Handle space(reader.check(H5Dget_space(id)), H5Sclose);
      dims.resize(size_t(std::max(0, H5Sget_simple_extent_ndims(space))));
      H5Sget_simple_extent_dims(space, dims.data(), nullptr);
    }

    void expect(hid_t type, const Dims& expected) const {
      Handle found(H5Dget_type(id), H5Tclose);
      require(dims == expected && found >= 0 && H5Tequal(found, type) > 0, Exit::data,
              "{}: expected /{} to be [{}] of the schema's type, found [{}] or another type", path, name,
              fmt::join(expected, ", "), fmt::join(dims, ", "));
    }

    int64_t offset() const {
      const Handle how(H5Dget_create_plist(id), H5Pclose);
      const haddr_t at = how >= 0 && H5Pget_external_count(how) == 0 ? H5Dget_offset(id) : HADDR_UNDEF;
      require(at != HADDR_UNDEF, Exit::data, "{}: expected /{} to be contiguous, found another layout", path,
              name);
      return int64_t(at);
    }

    int64_t chunk_rows() const {  // 0 if it is not chunked
      Handle how(H5Dget_create_plist(id), H5Pclose);
      Dims chunk(dims.size());
      if (how < 0 || H5Pget_layout(how) != H5D_CHUNKED ||
          H5Pget_chunk(how, int(chunk.size()), chunk.data()) < 1)
        return 0;
      return int64_t(chunk[0]);
    }

    const std::string& path;
    std::string name;
    Handle id;
    Dims dims;
  };

  hid_t open(const std::string& name) const {
    require(hdf5::is_inside(file_, name), Exit::data,
            "{}: expected /{} in this file, found none, or a link to elsewhere; pack again with --force",
            path_, name);
    return check(H5Dopen2(file_, name.c_str(), H5P_DEFAULT));
  }

  int64_t bytes_of(int64_t rows, const Field& field) const {
    int64_t bytes = 0;
    require(!__builtin_mul_overflow(rows, field.row_bytes(), &bytes), Exit::data,
            "{}: {} rows of field {} are more than any file holds; pack again with --force", path_, rows,
            field.name);
    return bytes;
  }

  // The offset of a contiguous dataset in the file.
  int64_t contiguous(const std::string& name, hid_t type, const Dims& dims) const {
    const Set set(*this, name);
    set.expect(type, dims);
    return dims[0] ? set.offset() : 0;
  }

  hid_t check(hid_t result) const {
    require(result >= 0, Exit::data,
            "{}: expected a shard, found a damaged or foreign file ({}); pack again with --force", path_,
            hdf5::reason());
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

void write_shard(const std::string& path, const Schema& schema, const std::vector<Column>& columns,
                 int64_t compress) {
  const Quiet quiet;
  const hsize_t count = columns.at(0).checksums.size();
  Writer writer(path, compress == 0);
  const nlohmann::json about{{"format", kFormatVersion},
                             {"count", count},
                             {"digest", shard_digest(columns)},
                             {"schema", to_json(schema)}};
  for (const auto& [name, value] : about.items()) writer.attribute(name.c_str(), value.dump());
  std::vector<std::vector<int64_t>> chunks(columns.size());
  for (size_t f = 0; f < columns.size(); ++f) {
    const Field& field = schema.fields[f];
    const int64_t rows = int64_t(columns[f].data.size()) / field.row_bytes();
    const Dims dims = dims_of(field, rows);
    if (compress && rows)
      chunks[f] = writer.compressed(field.name, file_type(field.dtype), dims, columns[f].data.data(),
                                    std::min(rows, rows_of_chunk(field)), compress);
    else
      writer.contiguous(field.name, file_type(field.dtype), dims, columns[f].data.data());
  }
  const auto any = [&](auto has) { return std::any_of(schema.fields.begin(), schema.fields.end(), has); };
  writer.group(kChecksums);
  if (any([](const Field& field) { return field.variable; })) writer.group(kEnds);
  if (compress) writer.group(kChunks);
  for (size_t f = 0; f < columns.size(); ++f) {
    const Field& field = schema.fields[f];
    writer.contiguous(beside(kChecksums, field), H5T_STD_U64LE, {count}, columns[f].checksums.data());
    if (field.variable)
      writer.contiguous(beside(kEnds, field), H5T_STD_I64LE, {count}, columns[f].ends.data());
    if (!chunks[f].empty())
      writer.contiguous(beside(kChunks, field), H5T_STD_I64LE, {chunks[f].size() / 3, 3}, chunks[f].data());
  }
  writer.close();
  sync(path);
}

ShardInfo read_header(const std::string& path, const Schema& schema) {
  const Quiet quiet;
  const Reader reader(path);
  const auto expect = [&](bool holds, const char* what, const nlohmann::json& found) {
    require(holds, Exit::data,
            "{}: it belongs to another data set: expected {}, found {}; restore the shard or pack again with "
            "--force",
            path, what, found.dump());
  };
  const auto format = reader.attribute("format"), count = reader.attribute("count"),
             digest = reader.attribute("digest"), about = reader.attribute("schema");
  expect(format == 1 || format == 2, "format 1 or 2", format);
  expect(about == to_json(schema), to_json(schema).dump().c_str(), about);
  expect(count.is_number_integer() && count >= 0 && count <= INT64_MAX && digest.is_string(),
         "a count and a digest", {count, digest});
  ShardInfo info{.file = std::filesystem::path(path).filename().string(),
                 .count = count,
                 .bytes = int64_t(std::filesystem::file_size(path)),
                 .digest = digest};
  for (const Field& field : schema.fields) info.extents.push_back(reader.extent(field, info.count));
  return info;
}

std::string hdf5_version() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return fmt::format("{}.{}.{}", major, minor, release);
}

}  // namespace saddle

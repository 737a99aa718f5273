#include "data/view/unpack.h"

#include <zip.h>

#include <exception>
#include <filesystem>
#include <fstream>
#include <memory>

#include "data/view/picture.h"
#include "dist/error.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

void require_pictures(const Schema& schema) {
  const bool found = schema.has("image") && schema["image"].shape.size() == 3 &&
                     schema["image"].shape[0] <= 4 &&
                     (schema["image"].dtype == torch::kByte || schema["image"].dtype == torch::kUInt16);
  require(found, Exit::usage, "expected a field image of pictures with 1 to 4 channels, found only {}",
          describe(schema));
}

// Pictures are written once and read often, so little time goes into making them small.
std::string picture_of(const Dataset& data, int64_t i, int level) {
  return encode_png(data.read({i})["image"][0], level);
}

std::string stylegan_name(int64_t i) {
  const std::string digits = fmt::format("{:08}", i);
  return fmt::format("{}/img{}.png", digits.substr(0, 5), digits);
}

nlohmann::json label_of(const Batch& sample, const std::string& field) {
  if (field == "label") return sample["label"].item<int64_t>();
  const torch::Tensor row = sample["features"].reshape({-1}).to(torch::kFloat).contiguous();
  return std::vector<float>(row.const_data_ptr<float>(), row.const_data_ptr<float>() + row.numel());
}

std::string table_of(const Dataset& data) {
  const Schema& schema = data.schema();
  const std::string field = schema.has("label") ? "label" : schema.has("features") ? "features" : "";
  nlohmann::json labels;  // null
  for (int64_t i = 0; i < data.size() && !field.empty(); ++i)
    labels.push_back({stylegan_name(i), label_of(data.read({i}), field)});
  return nlohmann::json{{"labels", labels}}.dump();
}

// libzip asks for the entries one by one when it writes the archive: so one picture is in memory at a time.
struct Entry {
  const Dataset& data;
  int64_t index;
  std::exception_ptr& error;  // libzip is C, and must not see it thrown
  std::string png = {};
  size_t at = 0;

  zip_int64_t open() try {
    png = picture_of(data, index, 1);
    at = 0;
    return 0;
  } catch (...) {
    error = std::current_exception();
    return -1;
  }

  zip_int64_t read(char* to, size_t most) {
    const size_t count = png.copy(to, most, at);
    at += count;
    return zip_int64_t(count);
  }

  zip_int64_t stat(zip_stat_t* to) {
    zip_stat_init(to);
    return sizeof *to;
  }
};

zip_int64_t entry_callback(void* self, void* to, zip_uint64_t length, zip_source_cmd_t command) {
  auto* entry = static_cast<Entry*>(self);
  switch (command) {
    case ZIP_SOURCE_OPEN:
      return entry->open();
    case ZIP_SOURCE_READ:
      return entry->read(static_cast<char*>(to), length);
    case ZIP_SOURCE_CLOSE:
      return entry->png = {}, 0;
    case ZIP_SOURCE_STAT:
      return entry->stat(static_cast<zip_stat_t*>(to));
    case ZIP_SOURCE_ERROR: {
      const int code[2] = {ZIP_ER_READ, 0};
      std::copy_n(code, 2, static_cast<int*>(to));
      return sizeof code;
    }
    case ZIP_SOURCE_FREE:
      return delete entry, 0;
    case ZIP_SOURCE_SUPPORTS:
      return zip_source_make_command_bitmap(ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE,
                                            ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR, ZIP_SOURCE_FREE, -1);
    default:
      return -1;
  }
}

class ZipWriter {
 public:
  explicit ZipWriter(const std::string& path) : path_(path) {
    int code = 0;
    zip_ = zip_open(path.c_str(), ZIP_CREATE | ZIP_EXCL, &code);
    require(code != ZIP_ER_EXISTS, Exit::usage, "{}: exists; choose another name or remove it", path);
    require(zip_ != nullptr, Exit::io, "{}: cannot be made", path);
  }
  ~ZipWriter() {
    if (zip_) zip_discard(zip_);
  }
  ZipWriter(const ZipWriter&) = delete;

  void add_picture(const Dataset& data, int64_t index) {
    auto entry = std::make_unique<Entry>(Entry{.data = data, .index = index, .error = error_});
    add(stylegan_name(index), zip_source_function(zip_, entry_callback, entry.get()));
    static_cast<void>(entry.release());
  }

  void add_text(const std::string& name, const std::string& text) {  // which must live until `close`
    add(name, zip_source_buffer(zip_, text.data(), text.size(), 0));
  }

  void close() {
    if (zip_close(zip_) == 0) {
      zip_ = nullptr;
      return;
    }
    if (error_) std::rethrow_exception(error_);
    fail(Exit::io, "{}: cannot be written: {}", path_, zip_strerror(zip_));
  }

 private:
  void add(const std::string& name, zip_source_t* source) {
    require(source != nullptr, Exit::io, "{}: {}", path_, zip_strerror(zip_));
    const zip_int64_t at = zip_file_add(zip_, name.c_str(), source, ZIP_FL_ENC_UTF_8);
    require(at >= 0, Exit::io, "{}: {}: {}", path_, name, zip_strerror(zip_));
    zip_set_file_compression(zip_, zip_uint64_t(at), ZIP_CM_STORE, 0);
    constexpr uint16_t kFirstDay = 1 << 5 | 1;  // of 1980, always: equal data sets make equal archives
    zip_file_set_dostime(zip_, zip_uint64_t(at), 0, kFirstDay, 0);
  }

  std::string path_;
  zip_t* zip_ = nullptr;
  std::exception_ptr error_;
};

// A class's name as one of a folder below ours, wherever the name comes from.
std::string folder_name(const Field& field, int64_t label) {
  const bool named = label >= 0 && label < int64_t(field.class_names.size());
  const std::string name = named ? field.class_names[size_t(label)] : "";
  const bool plain = !name.empty() && name[0] != '.' && name.find('/') == std::string::npos &&
                     name.find('\0') == std::string::npos && name.size() < 200;
  return plain ? name : fmt::format("class-{:05}", label);
}

void put_file(const fs::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), std::streamsize(bytes.size()));
  file.close();
  require(file.good(), Exit::io, "{}: cannot be written", path.string());
}

}  // namespace

void write_stylegan_zip(const Dataset& data, const std::string& path) {
  require_pictures(data.schema());
  ZipWriter writer(path);
  for (int64_t i = 0; i < data.size(); ++i) writer.add_picture(data, i);
  const std::string table = table_of(data);
  writer.add_text("dataset.json", table);
  writer.close();
}

void write_picture_folder(const Dataset& data, const std::string& folder) try {
  const Schema& schema = data.schema();
  require_pictures(schema);
  fs::create_directories(folder);
  require(fs::is_empty(folder), Exit::usage, "{}: is not empty; choose another folder", folder);
  for (int64_t i = 0; i < data.size(); ++i) {
    const Batch sample = data.read({i});
    fs::path place = folder;
    if (schema.has("label")) place /= folder_name(schema["label"], sample["label"].item<int64_t>());
    fs::create_directories(place);
    put_file(place / fmt::format("img{:08}.png", i), encode_png(sample["image"][0], 1));
  }
} catch (const fs::filesystem_error& error) {
  fail(Exit::io, "{}", error.what());
}

}  // namespace saddle

// StyleGAN's data sets (github.com/NVlabs/stylegan3, dataset_tool.py): pictures in a folder or ZIP archive,
// and dataset.json: {"labels": [["00000/img00000000.png", 3], ...]}, or vectors instead of numbers, or null.
#include <algorithm>
#include <filesystem>
#include <unordered_map>

#include "data/pack/importers.h"
#include "data/pack/pictures/picture_parts.h"
#include "dist/error.h"
#include "dist/json.h"

namespace saddle {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

std::string lower(std::string text) {
  for (char& c : text) c = char(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

FileSet open_table(const std::string& source) {
  return open_files(source, [](const std::string& name) { return name == "dataset.json"; });
}

constexpr const char* kInstead = "mend it, or pass --as pictures to leave it out";

json read_table(const Files& files, int64_t most) try {
  json table = parse_json(files.read_whole(0, most), files.path(0));
  require(table.is_object() && table.contains("labels"), Exit::data,
          "{}: expected StyleGAN's {{\"labels\": [[name, label], ...]}}, found {}", files.path(0),
          excerpt(table));
  return table;
} catch (const Error& error) {
  fail(error.kind, "{}; {}", error.what(), kInstead);
}

// Whatever it holds: a table that cannot be read must not make classes of the folders beside it.
Why accepts(const PackRequest& request) {
  const std::string table = stylegan_table(request.source);
  return table.empty() ? std::nullopt : Why("it holds " + table);
}

// What is called so, and is no such table.
[[noreturn]] void fail_without_table(const std::string& source) {
  const std::string table = stylegan_table(source);
  require(!table.empty(), Exit::data, "{}: expected a dataset.json in it, found none", source);
  const fs::path path = fs::path(source) / table;
  const bool folder = is_archive(source) ? table.ends_with('/') : fs::is_directory(path);
  const bool nowhere = fs::is_symlink(path) && !fs::exists(path);
  fail(Exit::data, "{}: expected the table dataset.json, found {}; {}", path.string(),
       folder    ? "a folder of that name"
       : nowhere ? "a link that leads nowhere"
                 : "another spelling of its name; rename it",
       kInstead);
}

using Labels = std::unordered_map<std::string, const json*>;

Labels by_name(const json& rows, const std::string& path) {
  Labels out;
  require(rows.is_array(), Exit::data, "{}: labels: expected a list or null, found {}; {}", path,
          excerpt(rows), kInstead);
  for (const json& row : rows) {
    if (!row.is_array() || row.size() != 2 || !row[0].is_string())
      fail(Exit::data, "{}: labels: expected [name, label], found {}", path, excerpt(row));
    std::string name = row[0].get<std::string>();
    std::replace(name.begin(), name.end(), '\\', '/');
    const auto [at, fresh] = out.emplace(std::move(name), &row[1]);
    if (!fresh)
      fail(Exit::data, "{}: labels: {} is listed twice, as {} and as {}", path, at->first,
           excerpt(*at->second), excerpt(row[1]));
  }
  return out;
}

PicturePart classes_of(const std::vector<const json*>& rows, const std::string& path) {
  constexpr int64_t kMost = int64_t{1} << 20;
  std::vector<int32_t> labels;
  int64_t classes = 0;
  for (const json* row : rows) {
    const int64_t label = row->is_number_integer() ? row->get<int64_t>() : -1;
    if (label < 0 || label >= kMost)
      fail(Exit::data, "{}: labels: expected integers from 0 to {}, found {}", path, kMost - 1,
           excerpt(*row));
    labels.push_back(int32_t(label));
    classes = std::max(classes, label + 1);
  }
  return label_part(label_field(classes, {}), std::move(labels));
}

PicturePart vectors_of(const std::vector<const json*>& rows, const std::string& path) {
  const size_t dims = rows[0]->size();
  auto all = std::make_shared<std::vector<float>>();
  for (const json* row : rows) {
    if (!row->is_array() || row->size() != dims || dims == 0)
      fail(Exit::data, "{}: labels: expected vectors of {} numbers, found {}", path, dims, excerpt(*row));
    for (const json& value : *row) {
      if (!value.is_number())
        fail(Exit::data, "{}: labels: expected numbers, found {}", path, excerpt(value));
      all->push_back(value.get<float>());
    }
  }
  return {
      .fields = {{.name = "features", .shape = {int64_t(dims)}, .dtype = torch::kFloat, .class_names = {}}},
      .add = [all, dims](int64_t i, Batch& out) {
        torch::Tensor row = torch::empty({1, int64_t(dims)}, torch::kFloat);
        std::copy_n(all->data() + size_t(i) * dims, dims, row.data_ptr<float>());
        out.set("features", row);
      }};
}

// A table of other pictures than those that are there is of another data set.
void refuse_missing(const Files& files, const Labels& labels, const std::string& path) {
  std::vector<std::string> missing;
  for (const auto& [name, label] : labels)
    if (!files.find(name)) missing.push_back(name);
  if (missing.empty()) return;
  fail(Exit::data, "{}: labels: {} of {} names are no pictures there, the first: {}; is the set whole?", path,
       missing.size(), labels.size(), *std::min_element(missing.begin(), missing.end()));
}

PicturePart labels_part(const Files& files, const json& table, const std::string& path) {
  const Labels labels = by_name(table, path);
  refuse_missing(files, labels, path);
  std::vector<const json*> rows;
  for (const std::string& name : files.names()) {
    const auto at = labels.find(name);
    require(at != labels.end(), Exit::data, "{}: labels: has none for {}", path, name);
    rows.push_back(at->second);
  }
  return rows[0]->is_array() ? vectors_of(rows, path) : classes_of(rows, path);
}

Source open(const PackRequest& request) {
  const FileSet files = open_pictures(request.source), tables = open_table(request.source);
  if (tables->count() == 0) fail_without_table(request.source);
  const json table = read_table(*tables, request.most_bytes());
  const CommonFit fit = common_fit(*files, request);
  std::vector<PicturePart> parts{picture_part("image", files, fit)};
  if (!table["labels"].is_null()) parts.push_back(labels_part(*files, table["labels"], tables->path(0)));
  for (PicturePart& part : companions(files, request, fit)) parts.push_back(std::move(part));
  Source source = assemble(*files, fit, parts);
  leave_out(source.left_out, kUnread, "dataset.json", -1);  // it is read
  return source;
}

}  // namespace

std::string stylegan_table(const std::string& source) {
  constexpr const char* kTable = "dataset.json";
  std::vector<std::string> found;
  if (fs::is_directory(source)) {
    std::error_code error;  // a folder that cannot be listed is refused by who reads it
    for (fs::directory_iterator entry(source, error), end; !error && entry != end; entry.increment(error))
      if (const std::string name = entry->path().filename().string(); lower(name) == kTable)
        found.push_back(name);
  } else if (is_archive(source)) {
    const auto files = open_files(source, [&](const std::string& name) { return lower(name) == kTable; });
    found = files->names();
    for (const std::string& folder : files->folders())
      if (lower(folder) == kTable) found.push_back(folder + "/");
  }
  if (std::find(found.begin(), found.end(), kTable) != found.end()) return kTable;
  return found.empty() ? "" : *std::min_element(found.begin(), found.end());
}

const Importer kStyleGan{
    .name = "stylegan",
    .takes = "a folder or ZIP archive as of StyleGAN's dataset_tool: pictures, dataset.json",
    .flags = "size channels bits filter crop background exif mask attributes classes separator decimal",
    .accepts = accepts,
    .open = open};

}  // namespace saddle

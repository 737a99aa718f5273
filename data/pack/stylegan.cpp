// StyleGAN's data sets (github.com/NVlabs/stylegan3, dataset_tool.py): pictures in a folder or ZIP archive,
// and dataset.json: {"labels": [["00000/img00000000.png", 3], ...]}, or vectors instead of numbers, or null.
#include <algorithm>
#include <filesystem>
#include <unordered_map>

#include "data/json.h"
#include "data/pack/importers.h"
#include "data/pack/picture_parts.h"
#include "dist/error.h"

namespace saddle {
namespace {

using nlohmann::json;

FileSet open_table(const std::string& source) {
  return open_files(source, [](const std::string& name) { return name == "dataset.json"; });
}

// dataset.json, if there is one and it is not the index of shards, which is called alike.
json read_table(const Files& files) {
  if (files.count() == 0) return {};
  const std::string text = files.read(0);
  if (is_deep(text)) return {};
  json table = json::parse(text, nullptr, /*allow_exceptions=*/false);
  return table.is_object() && table.contains("labels") && !table.contains("shards") ? table : json();
}

bool accepts(const PackRequest& request) {
  namespace fs = std::filesystem;
  const bool possible = fs::is_directory(request.source)
                            ? fs::exists(fs::path(request.source) / "dataset.json")
                            : is_archive(request.source);
  return possible && !read_table(*open_table(request.source)).is_null();
}

using Labels = std::unordered_map<std::string, const json*>;

Labels by_name(const json& rows, const std::string& path) {
  Labels out;
  require(rows.is_array(), Exit::data, "{}: labels: expected a list or null, found {}", path,
          rows.type_name());
  for (const json& row : rows) {
    require(row.is_array() && row.size() == 2 && row[0].is_string(), Exit::data,
            "{}: labels: expected [name, label], found {}", path, readable(row.dump()).substr(0, 80));
    std::string name = row[0].get<std::string>();
    std::replace(name.begin(), name.end(), '\\', '/');
    out.emplace(std::move(name), &row[1]);
  }
  return out;
}

PicturePart classes_of(const std::vector<const json*>& rows, const std::string& path) {
  constexpr int64_t kMost = int64_t{1} << 20;
  std::vector<int32_t> labels;
  int64_t classes = 0;
  for (const json* row : rows) {
    const int64_t label = row->is_number_integer() ? row->get<int64_t>() : -1;
    require(label >= 0 && label < kMost, Exit::data, "{}: labels: expected integers from 0 to {}, found {}",
            path, kMost - 1, row->dump());
    labels.push_back(int32_t(label));
    classes = std::max(classes, label + 1);
  }
  return label_part(label_field(classes, {}), std::move(labels));
}

PicturePart vectors_of(const std::vector<const json*>& rows, const std::string& path) {
  const size_t dims = rows[0]->size();
  auto all = std::make_shared<std::vector<float>>();
  for (const json* row : rows) {
    require(row->is_array() && row->size() == dims && dims > 0, Exit::data,
            "{}: labels: expected vectors of {} numbers, found {}", path, dims,
            readable(row->dump()).substr(0, 80));
    for (const json& value : *row) {
      require(value.is_number(), Exit::data, "{}: labels: expected numbers, found {}", path,
              value.type_name());
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

PicturePart labels_part(const Files& files, const json& table, const std::string& path) {
  const Labels labels = by_name(table, path);
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
  const json table = read_table(*tables);
  require(!table.is_null(), Exit::data, "{}: expected a dataset.json with labels", request.source);
  const Fit fit = common_fit(*files, request);
  std::vector<PicturePart> parts{picture_part("image", files, fit)};
  if (!table["labels"].is_null()) parts.push_back(labels_part(*files, table["labels"], tables->path(0)));
  for (PicturePart& part : companions(files, request, fit)) parts.push_back(std::move(part));
  return assemble(*files, fit, parts);
}

}  // namespace

const Importer kStyleGan{
    .name = "stylegan",
    .takes = "a folder or ZIP archive as of StyleGAN's dataset_tool: pictures, dataset.json",
    .flags = "size channels bits filter crop background mask attributes",
    .accepts = accepts,
    .open = open};

}  // namespace saddle

#include "data/feed/feed.h"

#include <algorithm>
#include <set>

#include "data/checksum.h"
#include "data/feed/decorators.h"
#include "dist/error.h"

namespace saddle {
namespace {

class SideBySide final : public Dataset {
 public:
  explicit SideBySide(const std::vector<Feed>& feeds) {
    std::string all;
    provenance_["feeds"] = nlohmann::json::array();
    for (const Feed& feed : feeds) {
      parts_.push_back(feed.data);
      for (const Field& field : feed.data->schema().fields) schema_.fields.push_back(field);
      size_ = std::max(size_, feed.data->size());
      all += feed.data->fingerprint() + "\n";
      provenance_["feeds"].push_back(feed.data->provenance());
    }
    fingerprint_ = hex(checksum(all.data(), all.size()));
  }

  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return size_; }
  const nlohmann::json& provenance() const override { return provenance_; }
  std::string fingerprint() const override { return fingerprint_; }

  bool read_sample(int64_t index, std::span<Place> places) const override {
    bool other = false;
    for (const auto& part : parts_) {
      const size_t fields = part->schema().fields.size();
      other |= part->read_sample(index % part->size(), places.first(fields));
      places = places.subspan(fields);
    }
    return other;
  }

  void prefetch(const std::vector<int64_t>& indices) const override {
    for (const auto& part : parts_) {
      std::vector<int64_t> own = indices;
      for (int64_t& index : own) index %= part->size();
      part->prefetch(own);
    }
  }

  std::vector<std::string> damage() const override {
    std::vector<std::string> all;
    for (const auto& part : parts_)
      for (const std::string& line : part->damage()) all.push_back(line);
    return all;
  }

 private:
  Schema schema_;
  std::vector<std::shared_ptr<Dataset>> parts_;
  int64_t size_ = 0;
  nlohmann::json provenance_;
  std::string fingerprint_;
};

}  // namespace

std::shared_ptr<Dataset> named(const std::string& name, std::shared_ptr<Dataset> data) {
  std::vector<std::pair<std::string, std::string>> names;
  for (const Field& field : data->schema().fields)
    names.emplace_back(field.name, field.name == "image" ? name : name + "_" + field.name);
  return renamed(std::move(data), names);
}

Schema Feed::schema() const {
  Schema schema = data->schema();
  for (const Transform& transform : transforms) schema = transform.schema(schema);
  return schema;
}

Schema schema_of(const std::vector<Feed>& feeds) {
  Schema all;
  std::set<std::string> seen;
  for (const Feed& feed : feeds)
    for (const Field& field : feed.schema().fields) {
      require(seen.insert(field.name).second, Exit::usage,
              "two feeds have a field {}: give the feeds other names", field.name);
      all.fields.push_back(field);
    }
  return all;
}

std::shared_ptr<Dataset> side_by_side(const std::vector<Feed>& feeds) {
  require(!feeds.empty(), Exit::bug, "side_by_side: no feed");
  return feeds.size() == 1 ? feeds.front().data : std::make_shared<SideBySide>(feeds);
}

}  // namespace saddle

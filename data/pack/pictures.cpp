// A folder of PNG and JPEG files. Sub-folders, if there are any, are the classes.
#include <algorithm>
#include <filesystem>
#include <map>

#include "data/pack/importers.h"
#include "data/picture.h"
#include "dist/error.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

bool is_picture(const fs::path& path) {
  std::string tail = path.extension().string();
  std::transform(tail.begin(), tail.end(), tail.begin(), [](unsigned char c) { return std::tolower(c); });
  return tail == ".png" || tail == ".jpg" || tail == ".jpeg";
}

// Sorted, since the order of a directory is the file system's whim.
std::vector<fs::path> pictures_below(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry :
       fs::recursive_directory_iterator(folder, fs::directory_options::follow_directory_symlink))
    if (entry.is_regular_file() && is_picture(entry.path())) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

// The first folder below `root` on the way to `path`; empty if `path` lies in `root` itself.
std::string class_of(const fs::path& path, const fs::path& root) {
  const fs::path relative = path.lexically_relative(root);
  return relative.has_parent_path() ? relative.begin()->string() : "";
}

std::vector<std::string> classes_of(const std::vector<fs::path>& files, const fs::path& root) {
  std::map<std::string, fs::path> seen;
  for (const fs::path& file : files) seen.emplace(class_of(file, root), file);
  const auto stray = seen.find("");
  if (seen.size() > 1 && stray != seen.end())
    fail(Exit::data, "{}: lies beside sub-folders, which are the classes; move it into one of them",
         stray->second.string());
  std::vector<std::string> names;
  for (const auto& [name, file] : seen)
    if (!name.empty()) names.push_back(name);
  return names;
}

struct Scan {
  int64_t channels = 0;
  ImageSize size;
};

// The size and channels that all files share. Damaged headers are left to `sample`, which counts them.
Scan scan(const std::vector<fs::path>& files, const PackRequest& request) {
  Scan all{.channels = request.channels, .size = request.size.value_or(ImageSize{})};
  if (request.channels && request.size) return all;
  fs::path first;
  PictureSize reference;
  for (const fs::path& file : files) try {
      const PictureSize found = picture_size(file);
      if (first.empty()) first = file, reference = found;
      if (!request.channels) all.channels = std::max(all.channels, found.channels);
      require(request.size || (found.height == reference.height && found.width == reference.width),
              Exit::usage, "pictures differ in size: {} is {}x{}, {} is {}x{}; pass --size HEIGHTxWIDTH",
              first.string(), reference.height, reference.width, file.string(), found.height, found.width);
    } catch (const Error& error) {
      if (error.kind != Exit::data) throw;
    }
  require(!first.empty(), Exit::data, "{}: none of {} pictures can be read", request.source, files.size());
  if (!request.size) all.size = {reference.height, reference.width};
  return all;
}

Source open_pictures(const PackRequest& request) {
  const fs::path root = fs::absolute(request.source).lexically_normal();
  const auto files = pictures_below(root);
  require(!files.empty(), Exit::data, "{}: expected PNG or JPEG files, found none", root.string());
  const auto classes = classes_of(files, root);
  const Scan seen = scan(files, request);

  Source source{.count = int64_t(files.size())};
  source.schema.fields.push_back(image_field("image", seen.channels, seen.size));
  if (!classes.empty()) source.schema.fields.push_back(label_field(int64_t(classes.size()), classes));
  source.sample = [=](int64_t i) {
    Batch out{
        {"image", fit(read_picture(files[i], seen.channels),
                      {.channels = seen.channels, .size = seen.size, .filter = "bilinear", .crop = "center"})
                      .unsqueeze(0)}};
    const auto at = std::lower_bound(classes.begin(), classes.end(), class_of(files[i], root));
    if (!classes.empty()) out.set("label", torch::tensor({int64_t(at - classes.begin())}));
    return out;
  };
  uintmax_t bytes = 0;
  for (const fs::path& file : files) bytes += fs::file_size(file);
  source.provenance = {{"source", root.string()}, {"files", files.size()}, {"bytes", bytes}};
  return source;
}

}  // namespace

const Importer kPictures{
    .name = "pictures",
    .takes = "a folder of PNG and JPEG files; sub-folders are classes",
    .flags = "size channels",
    .accepts = [](const PackRequest& request) { return fs::is_directory(request.source); },
    .open = open_pictures};

}  // namespace saddle

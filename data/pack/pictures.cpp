// A folder or ZIP archive of PNG and JPEG files. Sub-folders, if there are any, are the classes.
#include <algorithm>
#include <map>

#include "data/pack/importers.h"
#include "data/pack/picture_parts.h"
#include "dist/error.h"

namespace saddle {
namespace {

// The first folder on the way to a file; empty if there is none.
std::string class_of(const std::string& name) {
  const size_t slash = name.find('/');
  return slash == std::string::npos ? "" : name.substr(0, slash);
}

std::vector<std::string> classes_of(const Files& files) {
  std::map<std::string, size_t> seen;
  for (size_t i = 0; i < files.count(); ++i) seen.emplace(class_of(files.names()[i]), i);
  const auto stray = seen.find("");
  if (seen.size() > 1 && stray != seen.end())
    fail(Exit::data, "{}: lies beside sub-folders, which are the classes; move it into one of them",
         files.path(stray->second));
  std::vector<std::string> names;
  for (const auto& [name, file] : seen)
    if (!name.empty()) names.push_back(name);
  return names;
}

PicturePart class_part(const Files& files, const std::vector<std::string>& classes) {
  std::vector<int32_t> labels;
  for (const std::string& name : files.names())
    labels.push_back(
        int32_t(std::lower_bound(classes.begin(), classes.end(), class_of(name)) - classes.begin()));
  std::vector<std::string> names;
  for (const std::string& name : classes) names.push_back(readable(name));
  return label_part(label_field(int64_t(names.size()), names), std::move(labels));
}

Source open(const PackRequest& request) {
  const FileSet files = open_pictures(request.source);
  const auto classes = classes_of(*files);
  const Fit fit = common_fit(*files, request);
  std::vector<PicturePart> parts{picture_part("image", files, fit)};
  if (!classes.empty()) parts.push_back(class_part(*files, classes));
  for (PicturePart& part : companions(files, request, fit)) parts.push_back(std::move(part));
  return assemble(*files, fit, parts);
}

}  // namespace

const Importer kPictures{.name = "pictures",
                         .takes = "a folder or ZIP archive of PNG and JPEG files; sub-folders are classes",
                         .flags = "size channels bits filter crop background mask attributes",
                         .accepts = [](const PackRequest& request) { return holds_pictures(request.source); },
                         .open = open};

}  // namespace saddle

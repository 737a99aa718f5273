// Volumes of magnetic resonance and computed tomography: whole, as slices, or as patches; with label maps or
// with partners from another folder. Intensities are windowed to 16 bits, labels are left as they are.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "data/pack/arrays/values.h"
#include "data/pack/files/files.h"
#include "data/pack/files/room.h"
#include "data/pack/importers.h"
#include "data/pack/volumes/nifti_file.h"
#include "dist/error.h"
#include "dist/log.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

bool is_nifti(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.ends_with(".nii") || name.ends_with(".nii.gz");
}

// A part of a volume, by steps through its values.
struct Part {
  int64_t begin = 0;
  std::array<int64_t, 3> extents = {}, steps = {};
};

// Into which parts every volume is cut.
struct Cut {
  std::string plane;             // axial, coronal, sagittal
  std::optional<Extents> patch;  // neither: whole volumes

  // One pixel's place in a volume runs over these: the slice, its rows from above, its columns from the left.
  Part slices(const Extents& e) const {
    const int64_t depth = e[1] * e[2], height = e[2];
    if (plane == "axial")
      return {.extents = e, .steps = {depth, height, 1}};  // anterior above, left to the left
    if (plane == "coronal")
      return {.begin = (e[0] - 1) * depth, .extents = {e[1], e[0], e[2]}, .steps = {height, -depth, 1}};
    return {.begin = (e[0] - 1) * depth + (e[1] - 1) * height,  // anterior to the right
            .extents = {e[2], e[0], e[1]},
            .steps = {1, -depth, -height}};
  }

  int64_t count(const Extents& e) const {
    if (!plane.empty()) return slices(e).extents[0];
    if (!patch) return 1;
    return (e[0] / (*patch)[0]) * (e[1] / (*patch)[1]) * (e[2] / (*patch)[2]);
  }

  // A slice's extents are {1, rows, columns}.
  Extents size(const Extents& e) const {
    if (plane.empty()) return patch.value_or(e);
    const Part all = slices(e);
    return {1, all.extents[1], all.extents[2]};
  }

  Part part(const Extents& e, int64_t i) const {
    if (!plane.empty()) {
      const Part all = slices(e);
      return {.begin = all.begin + i * all.steps[0], .extents = size(e), .steps = all.steps};
    }
    Part out{.extents = size(e), .steps = {e[1] * e[2], e[2], 1}};
    for (const size_t axis : {2, 1, 0}) {
      const int64_t along = patch ? e[axis] / (*patch)[axis] : 1;
      out.begin += i % along * out.extents[axis] * out.steps[axis];
      i /= along;
    }
    return out;
  }
};

template <class T, class Convert>
torch::Tensor cut_out(const Volume& volume, const Part& part, torch::ScalarType dtype, Convert convert) {
  torch::Tensor out = torch::empty({1, part.extents[0], part.extents[1], part.extents[2]}, dtype);
  T* to = out.data_ptr<T>();
  for (int64_t d = 0; d < part.extents[0]; ++d)
    for (int64_t h = 0; h < part.extents[1]; ++h) {
      const float* from = volume.values.data() + part.begin + d * part.steps[0] + h * part.steps[1];
      for (int64_t w = 0; w < part.extents[2]; ++w) *to++ = convert(from[w * part.steps[2]]);
    }
  return out;
}

Extents parse_patch(const std::string& text) {
  Extents out;
  char rest;
  int found = std::sscanf(text.c_str(), "%ldx%ldx%ld%c", &out[0], &out[1], &out[2], &rest);
  if (found == 1 && text.find_first_not_of("0123456789") == std::string::npos)
    out[1] = out[2] = out[0], found = 3;
  require(found == 3 && *std::min_element(out.begin(), out.end()) > 0, Exit::usage,
          "--patch: expected DEPTHxHEIGHTxWIDTH such as 64x64x64, or one number for all, found {}", text);
  return out;
}

torch::Tensor windowed(const Volume& volume, const Part& part, const ValueRange& range) {
  return cut_out<uint16_t>(volume, part, torch::kUInt16, [&](float value) { return scaled(value, range); });
}

torch::Tensor labels(const Volume& volume, const Part& part, const std::string& path) {
  return cut_out<int16_t>(volume, part, torch::kShort, [&](float value) {
    if (!(value >= -32768 && value <= 32767 && value == std::floor(value)))
      fail(Exit::data, "{}: a label map holds integers of 16 bits, found {}", path, value);
    return int16_t(value);
  });
}

// One field: a file a source file, and the volume of it that is in use.
struct Role {
  std::string name;
  bool labels = false;
  std::vector<NiftiHeader> files;
  std::unique_ptr<NiftiReader> reader = {};
  int64_t file = -1, time = -1;
  std::shared_ptr<const Volume> held = {};

  std::shared_ptr<const Volume> volume(int64_t wanted_file, int64_t wanted_time, bool keep) {
    const NiftiHeader& header = files[size_t(wanted_file)];
    wanted_time = std::min(wanted_time, header.volumes - 1);  // one label map may serve all times
    if (!keep) return std::make_shared<Volume>(NiftiReader(header).read(wanted_time));
    if (file == wanted_file && time == wanted_time && held) return held;
    held = nullptr;  // first, so that only one is in memory
    if (file != wanted_file) reader = std::make_unique<NiftiReader>(header);
    file = wanted_file, time = wanted_time;
    return held = std::make_shared<Volume>(reader->read(time));
  }
};

struct Nifti {
  std::vector<Role> roles;
  std::vector<int64_t> first = {};  // sample of each file
  Cut cut;
  std::optional<ValueRange> range = {};
  Fit how = {};  // of slices
  bool serial = false;

  torch::Tensor field(Role& role, int64_t file, int64_t i) {
    const Extents extents = role.files[size_t(file)].extents;
    const int64_t parts = cut.count(extents);
    const auto volume = role.volume(file, i / parts, serial);
    const Part part = cut.part(extents, i % parts);
    torch::Tensor out = role.labels
                            ? labels(*volume, part, role.files[size_t(file)].path)
                            : windowed(*volume, part, range.value_or(ValueRange{volume->low, volume->high}));
    return cut.plane.empty() ? out.unsqueeze(0) : slice(out[0], role.labels).unsqueeze(0);
  }

  // Labels pass as words of 16 bits, of which the nearest is taken.
  torch::Tensor slice(const torch::Tensor& picture, bool labels) const {
    Fit fitting = how;
    if (!labels) return fit(picture, fitting);
    fitting.filter = "nearest";
    return fit(picture.view(torch::kUInt16), fitting).view(torch::kShort);
  }

  Batch sample(int64_t i) {
    const auto file = std::upper_bound(first.begin(), first.end(), i) - first.begin() - 1;
    Batch out;
    for (Role& role : roles) out.set(role.name, field(role, file, i - first[size_t(file)]));
    return out;
  }
};

std::vector<fs::path> files_of(const fs::path& source, LeftOut& left_out) {
  if (fs::is_regular_file(source)) return {source};
  const auto files = open_files(source.string(), [](const std::string& name) { return is_nifti(name); });
  std::vector<fs::path> found;
  for (size_t i = 0; i < files->count(); ++i) found.emplace_back(files->path(i));
  require(!found.empty(), Exit::data, "{}: expected .nii or .nii.gz files, found none", source.string());
  std::sort(found.begin(), found.end());
  left_out = files->left_out();
  return found;
}

// The file that goes with `file`: `other` itself, or the one of the same name below it.
fs::path partner(const fs::path& file, const fs::path& source, const fs::path& other, const char* flag) {
  const bool single = fs::is_regular_file(source);
  if (fs::is_regular_file(other)) {
    require(single, Exit::usage, "{}: expected a folder, since the source is one; found the file {}", flag,
            other.string());
    return other;
  }
  const fs::path there = other / (single ? file.filename() : file.lexically_relative(source));
  std::string swapped = there.string();
  swapped = swapped.ends_with(".gz") ? swapped.substr(0, swapped.size() - 3) : swapped + ".gz";
  if (fs::is_regular_file(swapped) && !fs::is_regular_file(there)) return swapped;
  require(fs::is_regular_file(there), Exit::data, "{}: has no partner; {} names {}, which does not exist",
          file.string(), flag, there.string());
  return there;
}

bool same_place(const std::string& a, const std::string& b) {
  std::error_code ignored;
  return !b.empty() && fs::equivalent(a, b, ignored);
}

std::vector<Role> roles_of(const PackRequest& request) {
  const bool slices = !request.slices.empty();
  std::vector<Role> out;
  if (same_place(request.source, request.mask)) {
    out.push_back({.name = "mask", .labels = true, .files = {}});
    return out;
  }
  out.push_back({.name = !request.pair.empty() ? "a" : (slices ? "image" : "volume"), .files = {}});
  if (!request.pair.empty()) out.push_back({.name = "b", .files = {}});
  if (!request.mask.empty()) out.push_back({.name = "mask", .labels = true, .files = {}});
  return out;
}

void check_partners(const NiftiHeader& a, const NiftiHeader& b) {
  require(a.extents == b.extents && (b.volumes == a.volumes || b.volumes == 1), Exit::data,
          "{} is {} with {} volume(s), its partner {} is {} with {}: they must agree", a.path,
          fmt::join(a.extents, "x"), a.volumes, b.path, fmt::join(b.extents, "x"), b.volumes);
}

// The headers of one source file and its partners, in the order of the roles.
std::vector<NiftiHeader> headers_of(const fs::path& file, const fs::path& source,
                                    const std::vector<Role>& roles, const PackRequest& request) {
  std::vector<NiftiHeader> out;
  for (const Role& role : roles) {
    const bool itself = out.empty();
    const fs::path path = itself             ? file
                          : role.name == "b" ? partner(file, source, request.pair, "--pair")
                                             : partner(file, source, request.mask, "--mask");
    out.push_back(read_nifti_header(path.string()));
    require_room(path.string(), fmt::format("volumes of {} voxels", fmt::join(out.back().voxels, "x")),
                 double(out.back().bytes()), request.most_bytes());
    check_partners(out[0], out.back());
  }
  return out;
}

void read_headers(std::vector<Role>& roles, const PackRequest& request, LeftOut& left_out) {
  const fs::path source = fs::absolute(request.source).lexically_normal();
  for (const fs::path& file : files_of(source, left_out)) try {
      const auto headers = headers_of(file, source, roles, request);
      for (size_t r = 0; r < roles.size(); ++r) roles[r].files.push_back(headers[r]);
    } catch (const Error& error) {
      if (error.kind != Exit::data || !request.skip_bad) throw;
      leave_out(left_out, "damaged", file.string());
    }
  require(!roles[0].files.empty(), Exit::data, "{}: none of its volumes can be read", request.source);
}

Cut cut_of(const PackRequest& request) {
  const auto& plane = request.slices;
  require(plane.empty() || plane == "axial" || plane == "coronal" || plane == "sagittal", Exit::usage,
          "--slices: expected axial, coronal or sagittal, found {}", plane);
  require(plane.empty() || request.patch.empty(), Exit::usage, "--slices and --patch exclude each other");
  require(!plane.empty() || !request.size, Exit::usage,
          "--size: only slices are resized; pass --slices, or cut volumes by --patch");
  for (const char* flag : {"filter", "crop"})
    require(request.size || !request.was_given(flag), Exit::usage, "--{}: needs --slices and --size", flag);
  return {.plane = plane,
          .patch = request.patch.empty() ? std::nullopt : std::optional(parse_patch(request.patch))};
}

// What every part of every volume measures; those that differ need a common size.
Extents common_size(const Nifti& nifti, const PackRequest& request) {
  const auto& files = nifti.roles[0].files;
  const Extents size = nifti.cut.size(files[0].extents);
  if (request.size) return {1, request.size->height, request.size->width};
  for (const NiftiHeader& file : files)
    require(nifti.cut.size(file.extents) == size, Exit::usage,
            "volumes differ in size: {} gives {}, {} gives {}; pass {}", files[0].path, fmt::join(size, "x"),
            file.path, fmt::join(nifti.cut.size(file.extents), "x"),
            nifti.cut.plane.empty() ? "--patch, or --slices with --size" : "--size HEIGHTxWIDTH");
  return size;
}

Field field_of(const Role& role, const Extents& size, bool slices) {
  Field out{.name = role.name,
            .shape = {1},
            .dtype = role.labels ? torch::kShort : torch::kUInt16,
            .class_names = {}};
  if (!slices) out.shape.push_back(size[0]);
  out.shape.insert(out.shape.end(), {size[1], size[2]});
  return out;
}

int64_t number_samples(Nifti& nifti) {
  int64_t count = 0;
  for (const NiftiHeader& file : nifti.roles[0].files) {
    nifti.first.push_back(count);
    count += file.volumes * nifti.cut.count(file.extents);
    nifti.serial = nifti.serial || file.volumes > 1;
  }
  return count;
}

// The share of voxels that lie in no patch.
double left_over(const Nifti& nifti) {
  double all = 0, used = 0;
  for (const NiftiHeader& file : nifti.roles[0].files) {
    const Extents size = nifti.cut.size(file.extents);
    all += double(file.count());
    used += double(nifti.cut.count(file.extents)) * double(size[0]) * double(size[1]) * double(size[2]);
  }
  return 1 - used / all;
}

nlohmann::json provenance(const Nifti& nifti, const PackRequest& request) {
  nlohmann::json out{{"source", fs::absolute(request.source).lexically_normal().string()},
                     {"files", nifti.roles[0].files.size()}};
  uintmax_t bytes = 0;
  for (const Role& role : nifti.roles)
    for (const NiftiHeader& file : role.files) bytes += fs::file_size(file.path);
  out["bytes"] = bytes;
  if (!request.slices.empty()) out["slices"] = request.slices;
  if (!request.range.empty()) out["range"] = request.range;
  if (!request.pair.empty()) out["pair"] = fs::absolute(request.pair).lexically_normal().string();
  if (!request.mask.empty()) out["mask"] = fs::absolute(request.mask).lexically_normal().string();
  if (nifti.cut.patch) out["outside_patches"] = left_over(nifti);
  return out;
}

Source open_nifti(const PackRequest& request) {
  auto nifti = std::make_shared<Nifti>(Nifti{.roles = roles_of(request), .cut = cut_of(request)});
  const bool slices = !request.slices.empty(), only_labels = nifti->roles[0].labels;
  require(request.range.empty() || !only_labels, Exit::usage, "--range: label maps are not windowed");
  require(request.pair.empty() || !only_labels, Exit::usage, "--pair: a label map alone has no partner");
  if (!request.range.empty()) nifti->range = parse_range(request.range);
  LeftOut left_out;
  read_headers(nifti->roles, request, left_out);
  const Extents size = common_size(*nifti, request);
  nifti->how = {
      .channels = 1, .size = {size[1], size[2]}, .bits = 16, .filter = request.filter, .crop = request.crop};
  nifti->serial = slices || nifti->cut.patch;  // one volume gives many samples

  Source source{.count = number_samples(*nifti)};
  require(source.count > 0, Exit::usage, "--patch: {} is larger than every volume", request.patch);
  if (nifti->cut.patch && left_over(*nifti) > 0)
    log::info("{:.1f} % of the voxels lie in no patch and are left out", 100 * left_over(*nifti));
  for (const Role& role : nifti->roles) source.schema.fields.push_back(field_of(role, size, slices));
  source.serial = nifti->serial;
  source.sample = [nifti](int64_t i) { return nifti->sample(i); };
  source.provenance = provenance(*nifti, request);
  source.left_out = std::move(left_out);
  return source;
}

Why accepts_nifti(const PackRequest& request) {
  if (fs::is_regular_file(request.source) && is_nifti(request.source))
    return "its name ends in .nii or .nii.gz";
  if (!fs::is_directory(request.source)) return {};
  for (const Walk::File& file : walk(request.source, /*deep=*/false).files)
    if (is_nifti(file.name)) return "it holds " + file.name;
  return {};
}

}  // namespace

const Importer kNifti{
    .name = "nifti",
    .takes = "a NIfTI file (.nii, .nii.gz) or a folder of them: volumes, --slices or --patch",
    .flags = "slices patch range mask pair size filter crop",
    .accepts = accepts_nifti,
    .open = open_nifti};

}  // namespace saddle

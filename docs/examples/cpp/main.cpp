// A program with an embedded interpreter.
//
//     enlarge IN.ppm OUT.ppm FACTOR THREADS     a picture, bicubic, on std::threads
//     enlarge --slabs THREADS                   a volume slab by slab, compared with the whole, bit by bit
#include <Python.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iostream>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "upsample.hpp"

namespace {

struct Picture {
    std::int64_t width = 0, height = 0;
    std::vector<char> samples;
};

Picture read(const std::string &name) {
    std::ifstream file(name, std::ios::binary);
    std::string magic;
    Picture p;
    int most = 0;
    if (!(file >> magic >> p.width >> p.height >> most) || magic != "P6" || most != 255 || p.width < 1 || p.height < 1)
        throw std::runtime_error(name + " is no 8-bit binary PPM");
    file.get();
    if (p.width > std::numeric_limits<std::int64_t>::max() / 3 / p.height) throw std::runtime_error(name + " is too large");
    p.samples.resize(static_cast<std::size_t>(p.width * p.height * 3));
    if (!file.read(p.samples.data(), static_cast<std::streamsize>(p.samples.size())))
        throw std::runtime_error(name + " is cut short");
    return p;
}

void write(const std::string &name, const Picture &p) {
    std::ofstream file(name, std::ios::binary);
    file << "P6\n" << p.width << ' ' << p.height << "\n255\n";
    file.write(p.samples.data(), static_cast<std::streamsize>(p.samples.size()));
    if (!file.flush()) throw std::runtime_error("cannot write " + name);
}

Picture enlarged(const Picture &p, double factor, unsigned threads) {
    upsample_work work = UPSAMPLE_WORK_INIT;
    work.ndim = 3;
    work.dtype = UPSAMPLE_UINT8;
    work.shape[0] = p.height, work.shape[1] = p.width, work.shape[2] = 3;
    std::memcpy(work.layout, "HWC", 3);
    work.mode = UPSAMPLE_BICUBIC;
    work.given = UPSAMPLE_SCALE;
    work.scale[0] = work.scale[1] = factor;
    const Upsampler upsample(work);
    const auto &info = upsample.info();
    Picture out{info.out_shape[1], info.out_shape[0], std::vector<char>(static_cast<std::size_t>(info.out_bytes))};
    upsample(p.samples.data(), out.samples.data(), threads);
    return out;
}

// A volume of float samples that is made in slabs of four planes, as one would that does not fit in memory.
bool slabs_equal_the_whole(unsigned threads) {
    const std::int64_t D = 17, H = 23, W = 31, plane = H * W;
    std::vector<float> volume(static_cast<std::size_t>(D * plane));
    for (std::size_t i = 0; i < volume.size(); i++) volume[i] = static_cast<float>(i * 7919 % 1000) / 8.0F;
    upsample_work work = UPSAMPLE_WORK_INIT;
    work.ndim = 3;
    work.shape[0] = D, work.shape[1] = H, work.shape[2] = W;
    std::memcpy(work.layout, "DHW", 3);
    work.mode = UPSAMPLE_TRILINEAR;
    work.given = UPSAMPLE_SCALE;
    work.scale[0] = 2.5, work.scale[1] = work.scale[2] = 2;
    const Upsampler whole(work);
    const std::int64_t planes = whole.info().out_shape[0], out_plane = whole.info().out_shape[1] * whole.info().out_shape[2];
    std::vector<float> expected(static_cast<std::size_t>(planes * out_plane)), out(expected.size());
    whole(volume.data(), expected.data(), threads);
    for (std::int64_t z = 0; z < planes; z += 4) {
        const std::int64_t stop = std::min(z + 4, planes);
        work.has_window = 1;
        work.window_start[0] = z, work.window_stop[0] = stop;
        work.window_stop[1] = whole.info().out_shape[1], work.window_stop[2] = whole.info().out_shape[2];
        const Upsampler slab(work);
        // the part of the input that these planes need: it alone would have to be read
        slab(volume.data() + slab.info().in_start[0] * plane, out.data() + z * out_plane, threads);
    }
    return std::memcmp(out.data(), expected.data(), out.size() * sizeof(float)) == 0;
}

int run(const std::vector<std::string> &words) {
    if (upsample_import() < 0) {
        PyErr_Print();
        return 1;
    }
    if (words.size() == 2 && words[0] == "--slabs") {
        const bool equal = slabs_equal_the_whole(static_cast<unsigned>(std::stoul(words[1])));
        std::cout << (equal ? "slabs equal the whole\n" : "slabs differ from the whole\n");
        return equal ? 0 : 1;
    }
    if (words.size() != 4) {
        std::cerr << "usage: enlarge IN.ppm OUT.ppm FACTOR THREADS, or enlarge --slabs THREADS\n";
        return 2;
    }
    write(words[1], enlarged(read(words[0]), std::stod(words[2]), static_cast<unsigned>(std::stoul(words[3]))));
    return 0;
}

}  // namespace

int main(int argc, char **argv) {
    Py_Initialize();
    int code = 1;
    try {
        code = run(std::vector<std::string>(argv + 1, argv + argc));
    } catch (const std::exception &error) {
        std::cerr << "enlarge: " << error.what() << '\n';
    }
    return Py_FinalizeEx() < 0 ? 120 : code;
}

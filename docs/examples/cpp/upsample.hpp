// A kernel as a C++ value: made once, copied cheaply, executed by any thread.
#pragma once
#include <upsample.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

class Upsampler {
public:
    explicit Upsampler(const upsample_work &work) {
        char message[400] = "";
        upsample_kernel *made = nullptr;
        const std::int32_t code = upsample_create(&work, &made, message, sizeof message);
        if (code != UPSAMPLE_OK) throw std::invalid_argument(message[0] ? message : upsample_error_text(code));
        kernel.reset(made, upsample_release);
        upsample_query(made, &facts);  // cannot fail with a kernel and UPSAMPLE_INFO_INIT
    }
    const upsample_info &info() const { return facts; }
    // All units, in shares: one for each thread that can be had, the rest for the caller.
    void operator()(const void *in, void *out, unsigned threads = 1) const {
        std::int64_t shares = threads > 1 ? threads : 1, t = 0;
        std::vector<char> scratch(static_cast<std::size_t>(shares * facts.scratch_bytes));  // may throw: before any starts
        std::vector<std::int32_t> codes(static_cast<std::size_t>(shares), UPSAMPLE_OK);
        const auto work_off = [&](std::int64_t i) {
            const auto lo = upsample_first_unit(facts.units, i, shares), hi = upsample_first_unit(facts.units, i + 1, shares);
            codes.data()[i] = upsample_execute(kernel.get(), in, out, scratch.data() + i * facts.scratch_bytes, lo, hi);
        };
        std::vector<std::thread> pool;
        try { for (; t + 1 < shares; t++) pool.emplace_back(work_off, t); } catch (const std::exception &) {}
        for (; t < shares; t++) work_off(t);
        for (auto &thread : pool) thread.join();
        for (auto code : codes) if (code != UPSAMPLE_OK) throw std::runtime_error(upsample_error_text(code));
    }
private:
    std::shared_ptr<upsample_kernel> kernel;
    upsample_info facts = UPSAMPLE_INFO_INIT;
};

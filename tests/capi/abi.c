/* Prints the binary interface of upsample.h as JSON; abi_names.h holds the names, made by the test. */
#define UPSAMPLE_NO_PYTHON
#include <stdio.h>

#include <upsample.h>

int main(void)
{
    const char *comma = "";
    printf("{");
#define VALUE(name) printf("%s\"%s\": %lld", comma, #name, (long long)(name)), comma = ", ";
#define STRUCT(type) VALUE(sizeof(type))
#define FIELD(type, field) \
    printf("%s\"%s.%s\": [%lld, %lld]", comma, #type, #field, (long long)offsetof(type, field), \
           (long long)sizeof(((type *)0)->field)), comma = ", ";
#include "abi_names.h"
    printf("}\n");
    return 0;
}

/* Timestamps and datetime. The module datetime is imported when the first of them comes along. */
#include "module.h"

#include <datetime.h>

static bool has_datetime(void)
{
    if (!PyDateTimeAPI)
        PyDateTime_IMPORT;
    return PyDateTimeAPI != NULL;
}

bool kvp_is_datetime(PyObject *object)
{
    PyObject *modules;
    if (!PyDateTimeAPI) {
        modules = PyImport_GetModuleDict(); /* who never imported it has none of its objects */
        if (!PyDict_GetItemString(modules, "datetime") &&
            !PyDict_GetItemString(modules, "_datetime"))
            return false;
        if (!has_datetime()) {
            PyErr_Clear();
            return false;
        }
    }
    return PyDateTime_Check(object);
}

static PyObject *epoch(void)
{
    static PyObject *moment;
    if (!moment)
        moment = PyDateTimeAPI->DateTime_FromDateAndTime(
            1970, 1, 1, 0, 0, 0, 0, PyDateTime_TimeZone_UTC, PyDateTimeAPI->DateTimeType);
    return moment;
}

bool kvp_datetime_has_zone(PyObject *object)
{
    PyObject *offset;
    bool has;
    if (!((PyDateTime_DateTime *)object)->hastzinfo)
        return false;
    offset = PyObject_CallMethod(object, "utcoffset", NULL);
    has = offset && offset != Py_None;
    Py_XDECREF(offset);
    return has;
}

bool kvp_datetime_in(PyObject *object, const kvp_link *link, int64_t *seconds, uint32_t *nanoseconds)
{
    PyObject *start = epoch(), *since;
    if (!start)
        return false;
    if (!((PyDateTime_DateTime *)object)->hastzinfo)
        return kvp_refuse(link, "a datetime without a time zone cannot be stored");
    since = PyNumber_Subtract(object, start);
    if (!since) {
        if (!PyErr_ExceptionMatches(PyExc_TypeError))
            return false;
        PyErr_Clear(); /* its tzinfo knows no offset */
        return kvp_refuse(link, "a datetime without a time zone cannot be stored");
    }
    *seconds = (int64_t)PyDateTime_DELTA_GET_DAYS(since) * 86400 + PyDateTime_DELTA_GET_SECONDS(since);
    *nanoseconds = (uint32_t)PyDateTime_DELTA_GET_MICROSECONDS(since) * 1000;
    Py_DECREF(since);
    return true;
}

/* Days since 1970-01-01 as a date of the Gregorian calendar. */
static void civil(int64_t days, int *year, int *month, int *day)
{
    int64_t shifted = days + 719468; /* since 0000-03-01 */
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t of_era = shifted - era * 146097;
    int64_t years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * years + years / 4 - years / 100);
    int64_t shifted_month = (5 * of_year + 2) / 153;
    *day = (int)(of_year - (153 * shifted_month + 2) / 5 + 1);
    *month = (int)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    *year = (int)(years + era * 400 + (*month <= 2));
}

#define FIRST_SECOND INT64_C(-62135596800) /* 0001-01-01 */
#define LAST_SECOND INT64_C(253402300799)  /* 9999-12-31 23:59:59 */

PyObject *kvp_timestamp_out(int64_t seconds, uint32_t nanoseconds)
{
    int year, month, day, second;
    int64_t days;
    if (seconds < FIRST_SECOND || seconds > LAST_SECOND || nanoseconds % 1000)
        return PyObject_CallFunction(kvp.Timestamp, "LI", (long long)seconds, (unsigned)nanoseconds);
    if (!has_datetime())
        return NULL;
    days = seconds / 86400;
    second = (int)(seconds % 86400);
    if (second < 0) {
        second += 86400;
        days--;
    }
    civil(days, &year, &month, &day);
    return PyDateTimeAPI->DateTime_FromDateAndTime(
        year, month, day, second / 3600, second / 60 % 60, second % 60, (int)(nanoseconds / 1000),
        PyDateTime_TimeZone_UTC, PyDateTimeAPI->DateTimeType);
}

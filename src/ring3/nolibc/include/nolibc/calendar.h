/* struct tm: UTC only, as there is no time zone database here. */
#ifndef NOLIBC_CALENDAR_H
#define NOLIBC_CALENDAR_H

#include "timespec.h"

struct tm {
	int tm_sec, tm_min, tm_hour, tm_mday, tm_mon, tm_year, tm_wday, tm_yday, tm_isdst;
	long tm_gmtoff;
	const char *tm_zone;
};

/* Days from 1970-01-01 to the first of March of a year that begins then: leap days come last. */
NOLIBC_FN long __nolibc_days(long year, int month, int day)
{
	long era;

	year -= month < 3;
	era = (year >= 0 ? year : year - 399) / 400;
	year -= era * 400;
	return era * 146097 + year * 365 + year / 4 - year / 100 + (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 +
	       day - 1 - 719468;
}

NOLIBC_FN struct tm *gmtime_r(const time_t *time, struct tm *to)
{
	static const unsigned short before[12] = { 306, 337, 0, 31, 61, 92, 122, 153, 184, 214, 245, 275 };
	long days, year, era, rest;
	long long seconds = *time;
	int leap;

	/* 86400 is 2^7 * 675: no division of 64 bits, for times up to 8700 years from 1970 on 32 bits. */
	days = (long)(seconds >> 7) / 675;
	rest = (long)(seconds - (long long)days * 86400);
	if (rest < 0) {
		rest += 86400;
		days--;
	}
	to->tm_sec = (int)(rest % 60);
	to->tm_min = (int)(rest / 60 % 60);
	to->tm_hour = (int)(rest / 3600);
	to->tm_wday = (int)((days % 7 + 11) % 7);
	days += 719468;
	era = (days >= 0 ? days : days - 146096) / 146097;
	days -= era * 146097;
	year = (days - days / 1460 + days / 36524 - days / 146096) / 365;
	days -= year * 365 + year / 4 - year / 100;
	to->tm_mon = (int)((5 * days + 2) / 153);
	to->tm_mday = (int)(days - (153 * to->tm_mon + 2) / 5 + 1);
	to->tm_mon = (to->tm_mon + 2) % 12;
	year += era * 400 + (to->tm_mon < 2);
	to->tm_year = (int)(year - 1900);
	leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	to->tm_yday = to->tm_mday - 1 + before[to->tm_mon] + (to->tm_mon < 2 ? -306 : 59 + leap);
	to->tm_isdst = 0;
	to->tm_gmtoff = 0;
	to->tm_zone = "UTC";
	return to;
}

NOLIBC_FN struct tm *gmtime(const time_t *time)
{
	static struct tm made;

	return gmtime_r(time, &made);
}

NOLIBC_FN struct tm *localtime_r(const time_t *time, struct tm *to)
{
	return gmtime_r(time, to);
}

NOLIBC_FN struct tm *localtime(const time_t *time)
{
	return gmtime(time);
}

NOLIBC_FN time_t timegm(struct tm *from)
{
	long month = from->tm_mon % 12, year = from->tm_year + 1900L + from->tm_mon / 12;
	time_t made;

	if (month < 0) {
		month += 12;
		year--;
	}
	made = (time_t)__nolibc_days(year, (int)month + 1, 1) + from->tm_mday - 1;
	made = made * 86400 + from->tm_hour * 3600L + from->tm_min * 60L + from->tm_sec;
	gmtime_r(&made, from);
	return made;
}

NOLIBC_FN time_t mktime(struct tm *from)
{
	return timegm(from);
}

NOLIBC_FN void tzset(void)
{
}

/* The conversions of the C standard's "C" locale that need no names of others. */
NOLIBC_FN size_t strftime(char *to, size_t size, const char *format, const struct tm *from)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	size_t n = 0;

	for (; *format; format++) {
		char text[24];
		const char *at = text;
		int number = 0, width = 2, size_of = 0;

		if (*format != '%') {
			at = format;
			size_of = 1;
		} else {
			switch (*++format) {
			case 'a': at = days + from->tm_wday * 3; size_of = 3; break;
			case 'b': case 'h': at = months + from->tm_mon * 3; size_of = 3; break;
			case 'd': case 'e': number = from->tm_mday; break;
			case 'H': number = from->tm_hour; break;
			case 'I': number = (from->tm_hour + 11) % 12 + 1; break;
			case 'j': number = from->tm_yday + 1; width = 3; break;
			case 'm': number = from->tm_mon + 1; break;
			case 'M': number = from->tm_min; break;
			case 'S': number = from->tm_sec; break;
			case 'u': number = (from->tm_wday + 6) % 7 + 1; width = 1; break;
			case 'w': number = from->tm_wday; width = 1; break;
			case 'y': number = from->tm_year % 100; break;
			case 'Y': number = from->tm_year + 1900; width = 4; break;
			case 'p': at = from->tm_hour < 12 ? "AM" : "PM"; size_of = 2; break;
			case 'Z': at = "UTC"; size_of = 3; break;
			case 'z': at = "+0000"; size_of = 5; break;
			case 'n': at = "\n"; size_of = 1; break;
			case 't': at = "\t"; size_of = 1; break;
			case 'F': case 'T': case 'R': case 'D': {
				const char *parts = *format == 'F' ? "%Y-%m-%d" : *format == 'T' ? "%H:%M:%S" :
						    *format == 'R' ? "%H:%M" : "%m/%d/%y";

				size_of = (int)strftime(text, sizeof(text), parts, from);
				break;
			}
			case 0: format--; /* fall through */
			default: at = "%"; size_of = 1; break;
			}
		}
		if (!size_of) {
			char *end = text + sizeof(text);

			while (width-- > 0 || number) {
				*--end = (char)('0' + number % 10);
				number /= 10;
			}
			if (*format == 'e' && *end == '0')
				*end = ' ';
			at = end;
			size_of = (int)(text + sizeof(text) - end);
		}
		while (size_of--) {
			if (n + 1 >= size)
				return 0;
			to[n++] = *at++;
		}
	}
	if (!size)
		return 0;
	to[n] = 0;
	return n;
}

NOLIBC_FN char *asctime_r(const struct tm *from, char *to)
{
	strftime(to, 26, "%a %b %e %H:%M:%S %Y\n", from);
	return to;
}

NOLIBC_FN char *asctime(const struct tm *from)
{
	static char to[26];

	return asctime_r(from, to);
}

NOLIBC_FN char *ctime_r(const time_t *time, char *to)
{
	struct tm made;

	return asctime_r(localtime_r(time, &made), to);
}

NOLIBC_FN char *ctime(const time_t *time)
{
	return asctime(localtime(time));
}

#endif

"""booking/feeds"""
